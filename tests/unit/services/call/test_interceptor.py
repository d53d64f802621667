import json
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from promptreel.v2 import event_pb2, event_pb2_grpc, index_pb2, index_pb2_grpc
from promptreel_server.domain.key import Scope
from promptreel_server.errors import NotFound
from promptreel_server.services.call.context import current_call
from promptreel_server.services.call.interceptor import Gate
from promptreel_server.services.call.key_cache import KeyRing
from promptreel_server.services.call.rate_limits import RateLimits
from promptreel_server.store.access import api_keys
from promptreel_server.store.database.database import Database
from promptreel_server.store.database.sqlite import open_sqlite

Context = grpc.aio.ServicerContext[Any, Any]
SECRET = "sk_test"
SAID = (("x-api-key", SECRET), ("x-request-id", "req-1"), ("idempotency-key", "k-1"))


async def _get_index(request: index_pb2.GetIndexRequest, context: Context) -> index_pb2.Index:
    if request.index_id == "broken":
        raise ZeroDivisionError("a secret of ours")
    call = current_call()
    call.headers.append(("x-next-cursor", "abc"))
    return index_pb2.Index(user_id=call.owner_id, name=f"{call.scope.name} {call.idempotency_key}")


async def _watch_events(
    request: event_pb2.WatchEventsRequest, context: Context
) -> AsyncIterator[event_pb2.EventUpdate]:
    if request.run_id == "none":
        raise NotFound("There is no run none.")
    yield event_pb2.EventUpdate(sequence=1)
    if request.run_id == "broken":
        raise ZeroDivisionError("a secret of ours")


def _handlers() -> Any:
    """Two methods of the contract, without the services that they belong to."""
    get: Any = grpc.unary_unary_rpc_method_handler(
        _get_index,
        index_pb2.GetIndexRequest.FromString,
        index_pb2.Index.SerializeToString,
    )
    watch: Any = grpc.unary_stream_rpc_method_handler(
        _watch_events,
        event_pb2.WatchEventsRequest.FromString,
        event_pb2.EventUpdate.SerializeToString,
    )
    return (
        grpc.method_handlers_generic_handler("promptreel.v2.IndexService", {"GetIndex": get}),
        grpc.method_handlers_generic_handler("promptreel.v2.EventService", {"WatchEvents": watch}),
    )


class _Served:
    """A server of two methods behind the gate."""

    def __init__(self, channel: grpc.aio.Channel, database: Database) -> None:
        self.indexes: Any = index_pb2_grpc.IndexServiceStub(channel)
        self.events: Any = event_pb2_grpc.EventServiceStub(channel)
        self.database = database


@pytest.fixture
async def served(tmp_path: Any) -> AsyncIterator[_Served]:
    async with open_sqlite(tmp_path) as database:
        await database.write(
            lambda tx: api_keys.create(
                tx, owner_id="ann", name="k", scope=Scope.READ, secret=SECRET
            )
        )
        gate = Gate(KeyRing(database), RateLimits(per_second=0.001, burst=3))
        server = grpc.aio.server(interceptors=[gate])
        server.add_generic_rpc_handlers(_handlers())
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield _Served(channel, database)
        await server.stop(None)


async def _watched(served: _Served, run_id: str, seen: list[int]) -> None:
    request = event_pb2.WatchEventsRequest(run_id=run_id)
    async for update in served.events.WatchEvents(request, metadata=SAID):
        seen.append(update.sequence)


def _envelope(error: grpc.aio.AioRpcError) -> dict[str, Any]:
    trailers = dict(error.trailing_metadata())
    envelope: dict[str, Any] = json.loads(trailers["x-error-envelope"])["error"]
    return envelope


async def test_a_service_knows_who_calls_and_its_headers_go_out(served: _Served) -> None:
    call = served.indexes.GetIndex(index_pb2.GetIndexRequest(), metadata=SAID)

    answer = await call

    assert (answer.user_id, answer.name) == ("ann", "READ k-1")
    headers = dict(await call.initial_metadata())
    assert headers["x-request-id"] == "req-1"
    assert headers["x-next-cursor"] == "abc"


async def test_what_breaks_inside_is_told_by_its_request_id_alone(
    served: _Served, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await served.indexes.GetIndex(index_pb2.GetIndexRequest(index_id="broken"), metadata=SAID)

    assert refused.value.code() is grpc.StatusCode.INTERNAL
    assert "secret" not in str(refused.value)
    assert "req-1" in (refused.value.details() or "")
    assert _envelope(refused.value)["code"] == "internal"
    assert "a secret of ours" in caplog.text


async def test_a_stream_that_is_refused_says_why(served: _Served) -> None:
    seen: list[int] = []

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await _watched(served, "none", seen)

    assert seen == []
    assert _envelope(refused.value)["code"] == "not_found"


async def test_a_stream_that_breaks_gives_nothing_away(served: _Served) -> None:
    seen: list[int] = []

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await _watched(served, "broken", seen)

    assert seen == [1]
    assert refused.value.code() is grpc.StatusCode.INTERNAL
    assert "secret" not in str(refused.value)


async def test_a_stream_sends_its_headers_with_the_first_message(served: _Served) -> None:
    call = served.events.WatchEvents(event_pb2.WatchEventsRequest(), metadata=SAID)

    assert [update.sequence async for update in call] == [1]
    assert dict(await call.initial_metadata())["x-request-id"] == "req-1"


async def test_a_key_that_calls_too_fast_is_told_when_to_come_back(served: _Served) -> None:
    for _ in range(3):
        await served.indexes.GetIndex(index_pb2.GetIndexRequest(), metadata=SAID)

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await served.indexes.GetIndex(index_pb2.GetIndexRequest(), metadata=SAID)

    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert _envelope(refused.value)["code"] == "rate_limited"
    trailers = dict(refused.value.trailing_metadata())
    assert int(str(trailers["retry-after"])) > 100
    assert trailers["x-http-status"] == "429"


async def test_a_method_that_does_not_exist_is_told_so(served: _Served) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await served.indexes.CreateIndex(index_pb2.CreateIndexRequest(), metadata=SAID)

    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_the_last_use_of_a_key_is_written_when_flushed(tmp_path: Any) -> None:
    async with open_sqlite(tmp_path) as database:
        key = await database.write(
            lambda tx: api_keys.create(
                tx, owner_id="ann", name="k", scope=Scope.READ, secret=SECRET
            )
        )
        ring = KeyRing(database)

        found = await ring.authenticate(SECRET)
        before = await database.read(lambda c: api_keys.fetch(c, "ann", key.key_id))
        await ring.flush()

        after = await database.read(lambda c: api_keys.fetch(c, "ann", key.key_id))
        assert found == key
        assert before.last_used_at is None
        assert after.last_used_at is not None
