from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from promptreel.v2 import (
    account_pb2,
    account_pb2_grpc,
    api_key_pb2,
    enums_pb2,
    index_pb2,
    index_pb2_grpc,
    rest_pb2,
)
from promptreel_server.domain.key import Scope
from promptreel_server.services.call import scopes
from promptreel_server.services.call.contract_files import FILES
from tests.service.caller import Caller, Live, refusal


@pytest.fixture(scope="module")
def grpc_stub_cls() -> Callable[[grpc.Channel], Any]:
    return index_pb2_grpc.IndexServiceStub


def test_a_call_without_a_key_is_refused_with_every_detail(
    grpc_stub: index_pb2_grpc.IndexServiceStub,
) -> None:
    request = index_pb2.GetIndexRequest(index_id="idx_1")
    refused = refusal(lambda: grpc_stub.GetIndex(request, metadata=(("x-request-id", "abc-1"),)))

    assert refused.code is grpc.StatusCode.UNAUTHENTICATED
    assert refused.http_status == 401
    assert refused.reason == "unauthenticated"
    assert refused.info.reason == "UNAUTHENTICATED"
    assert refused.info.domain == "promptreel"
    assert refused.envelope["request_id"] == "abc-1"
    assert refused.envelope["details"] == {}
    assert refused.message == refused.envelope["message"]


@pytest.mark.parametrize(
    "metadata",
    [
        (("x-api-key", "sk_nobody_has_this_one"),),
        (("x-api-key", ""),),
        (("x-api-key", "x" * 4000),),
        (("authorization", "Bearer sk_nobody"),),
        (("authorization", "Basic sk_nobody"),),
    ],
)
def test_a_wrong_key_is_refused(caller: Caller, metadata: tuple[tuple[str, str], ...]) -> None:
    request = index_pb2.ListIndexesRequest()
    refused = refusal(lambda: caller.indexes.ListIndexes(request, metadata=metadata))

    assert refused.http_status == 401


@pytest.mark.parametrize("word", ["Bearer", "bearer"])
def test_a_key_is_taken_from_the_authorization_header_too(caller: Caller, word: str) -> None:
    metadata = (("authorization", f"{word} {caller.key}"),)

    answer = caller.indexes.ListIndexes(index_pb2.ListIndexesRequest(), metadata=metadata)

    assert list(answer.data) == []


def test_an_expired_key_is_refused(live: Live, caller: Caller) -> None:
    past = datetime.now(UTC) - timedelta(seconds=1)
    old = live.make_key(caller.owner, expires_at=past)

    refused = refusal(
        lambda: caller.indexes.ListIndexes(
            index_pb2.ListIndexesRequest(), metadata=(("x-api-key", old),)
        )
    )

    assert refused.http_status == 401


def test_a_scope_that_does_not_reach_is_told(live: Live, caller: Caller) -> None:
    reader = (("x-api-key", live.make_key(caller.owner, Scope.READ)),)

    caller.indexes.ListIndexes(index_pb2.ListIndexesRequest(), metadata=reader)
    refused = refusal(
        lambda: caller.indexes.CreateIndex(index_pb2.CreateIndexRequest(name="x"), metadata=reader)
    )

    assert refused.code is grpc.StatusCode.PERMISSION_DENIED
    assert refused.http_status == 403
    assert refused.envelope["details"] == {"needed": "write", "given": "read"}


def test_a_search_key_may_not_read_and_a_writer_may_not_delete(live: Live, caller: Caller) -> None:
    searcher = (("x-api-key", live.make_key(caller.owner, Scope.SEARCH)),)
    writer = (("x-api-key", live.make_key(caller.owner, Scope.WRITE)),)
    index_id = caller.index()

    get, delete = index_pb2.GetIndexRequest(index_id=index_id), index_pb2.DeleteIndexRequest()
    assert refusal(lambda: caller.indexes.GetIndex(get, metadata=searcher)).http_status == 403
    assert refusal(lambda: caller.indexes.DeleteIndex(delete, metadata=writer)).http_status == 403
    assert caller.indexes.GetIndex(get, metadata=writer).index_id == index_id


def test_somebody_elses_index_is_not_found(caller: Caller, other: Caller) -> None:
    index_id = other.index()

    refused = refusal(
        lambda: caller.indexes.GetIndex(
            index_pb2.GetIndexRequest(index_id=index_id), metadata=caller.said()
        )
    )

    assert refused.code is grpc.StatusCode.NOT_FOUND
    assert refused.http_status == 404
    assert refused.envelope["details"] == {"index_id": index_id}


def test_a_key_is_made_shown_once_used_and_revoked_at_once(caller: Caller) -> None:
    made = caller.keys.CreateApiKey(
        api_key_pb2.CreateApiKeyRequest(
            name="laptop",
            scopes=[enums_pb2.Scope.Value.read, enums_pb2.Scope.Value.write],
            expires_in_days=30,
        ),
        metadata=caller.said(),
    )
    fresh = (("x-api-key", made.key),)
    caller.indexes.CreateIndex(index_pb2.CreateIndexRequest(name="x"), metadata=fresh)

    listed = caller.keys.ListApiKeys(api_key_pb2.ListApiKeysRequest(), metadata=caller.said())
    revoked = caller.keys.RevokeApiKey(
        api_key_pb2.RevokeApiKeyRequest(key_id=made.key_id), metadata=caller.said()
    )

    assert list(made.scopes) == [enums_pb2.Scope.Value.write]
    assert made.key.startswith(made.key_prefix)
    assert made.HasField("expires_at")
    assert all(not key.HasField("key") for key in listed.data)
    assert made.key_id in {key.key_id for key in listed.data}
    assert not revoked.is_active
    request = index_pb2.ListIndexesRequest()
    assert refusal(lambda: caller.indexes.ListIndexes(request, metadata=fresh)).http_status == 401


def test_a_replayed_creation_of_a_key_does_not_show_its_secret_again(caller: Caller) -> None:
    request = api_key_pb2.CreateApiKeyRequest(name="laptop")
    said = caller.said(idempotency_key="key-1")

    first = caller.keys.CreateApiKey(request, metadata=said)
    again = caller.keys.CreateApiKey(request, metadata=said)

    assert first.HasField("key")
    assert not again.HasField("key")
    assert again.key_id == first.key_id


def test_a_key_is_rotated(caller: Caller) -> None:
    made = caller.keys.CreateApiKey(
        api_key_pb2.CreateApiKeyRequest(name="laptop"), metadata=caller.said()
    )
    rotated = caller.keys.RotateApiKey(
        api_key_pb2.RotateApiKeyRequest(key_id=made.key_id), metadata=caller.said()
    )

    request = index_pb2.ListIndexesRequest()
    old, new = (("x-api-key", made.key),), (("x-api-key", rotated.new_key.key),)
    assert rotated.old_key_id == made.key_id
    assert refusal(lambda: caller.indexes.ListIndexes(request, metadata=old)).http_status == 401
    assert not caller.indexes.ListIndexes(request, metadata=new).data


def test_the_last_admin_key_can_not_be_revoked(caller: Caller) -> None:
    listed = caller.keys.ListApiKeys(api_key_pb2.ListApiKeysRequest(), metadata=caller.said())

    refused = refusal(
        lambda: caller.keys.RevokeApiKey(
            api_key_pb2.RevokeApiKeyRequest(key_id=listed.data[0].key_id), metadata=caller.said()
        )
    )

    assert refused.http_status == 409
    assert refused.reason == "conflict"


def test_an_undefined_scope_is_refused(caller: Caller) -> None:
    request = api_key_pb2.CreateApiKeyRequest(name="x", scopes=[enums_pb2.Scope.Value.unspecified])

    refused = refusal(lambda: caller.keys.CreateApiKey(request, metadata=caller.said()))

    assert refused.violations == ("scopes",)


def test_health_reflection_and_the_document_need_no_key(caller: Caller) -> None:
    health: Any = health_pb2_grpc.HealthStub(caller.channel)

    assert health.Check(health_pb2.HealthCheckRequest()).status == 1
    assert b'"openapi":"3.1.0"' in caller.rest.GetOpenApi(rest_pb2.GetOpenApiRequest()).data


def test_the_readiness_call_of_clients_is_answered(caller: Caller) -> None:
    stub = account_pb2_grpc.AccountServiceStub(caller.channel)
    request = account_pb2.RecordProcessingActivityRequest(surface="sdk", reason="upload_media")

    answer = stub.RecordProcessingActivity(request, metadata=caller.said())

    assert answer == account_pb2.RecordProcessingActivityResponse()


def test_a_request_id_is_kept_or_made(caller: Caller) -> None:
    request = index_pb2.ListIndexesRequest()
    _, kept = caller.indexes.ListIndexes.with_call(
        request, metadata=caller.said(x_request_id="from-me:1")
    )
    _, made = caller.indexes.ListIndexes.with_call(request, metadata=caller.said())
    _, odd = caller.indexes.ListIndexes.with_call(
        request, metadata=caller.said(x_request_id="<script>")
    )

    assert dict(kept.initial_metadata())["x-request-id"] == "from-me:1"
    assert len(dict(made.initial_metadata())["x-request-id"]) >= 20
    assert "<" not in dict(odd.initial_metadata())["x-request-id"]


def test_a_malformed_message_is_the_callers_fault(caller: Caller) -> None:
    call: Any = caller.channel.unary_unary("/promptreel.v2.IndexService/GetIndex")

    refused = refusal(lambda: call(b"\xff\xff\xff", metadata=caller.said()))

    assert refused.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.http_status == 400


def test_every_method_of_the_contract_has_a_scope() -> None:
    scopes.check_complete(FILES)


def test_a_method_without_a_scope_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    fewer = {method: s for method, s in scopes.SCOPES.items() if "GetIndex" not in method}
    monkeypatch.setattr(scopes, "SCOPES", fewer)

    with pytest.raises(ValueError, match="GetIndexDeletion"):
        scopes.check_complete(FILES)
