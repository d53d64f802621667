from concurrent.futures import ThreadPoolExecutor

import pytest

from promptreel.v2 import index_pb2, prompt_run_pb2
from promptreel_server.store.access import idempotency
from promptreel_server.store.access.idempotency import KeyUse
from tests import footage
from tests.service.caller import Caller, refusal
from tests.service.runner import Runner

CREATE = index_pb2.CreateIndexRequest(name="Archive")


def _names(caller: Caller) -> list[str]:
    listed = caller.indexes.ListIndexes(index_pb2.ListIndexesRequest(), metadata=caller.said())
    return [index.name for index in listed.data]


def test_the_same_request_with_the_same_key_happens_once(caller: Caller) -> None:
    said = caller.said(idempotency_key="k-1")

    first, call = caller.indexes.CreateIndex.with_call(CREATE, metadata=said)
    again, replay = caller.indexes.CreateIndex.with_call(CREATE, metadata=said)

    assert again == first
    assert "idempotent-replayed" not in dict(call.initial_metadata())
    assert dict(replay.initial_metadata())["idempotent-replayed"] == "true"
    assert _names(caller) == ["Archive"]


def test_quotes_around_a_key_are_no_part_of_it(caller: Caller) -> None:
    first = caller.indexes.CreateIndex(CREATE, metadata=caller.said(idempotency_key="k-1"))
    again = caller.indexes.CreateIndex(CREATE, metadata=caller.said(idempotency_key='"k-1"'))

    assert again == first


def test_another_request_with_the_same_key_is_refused(caller: Caller) -> None:
    said = caller.said(idempotency_key="k-1")
    caller.indexes.CreateIndex(CREATE, metadata=said)

    other = index_pb2.CreateIndexRequest(name="Other")
    refused = refusal(lambda: caller.indexes.CreateIndex(other, metadata=said))

    assert refused.http_status == 422
    assert refused.reason == "idempotency_key_reused"
    assert _names(caller) == ["Archive"]


def test_a_key_belongs_to_its_owner_and_its_operation(caller: Caller, other: Caller) -> None:
    first = caller.indexes.CreateIndex(CREATE, metadata=caller.said(idempotency_key="k-1"))
    theirs = other.indexes.CreateIndex(CREATE, metadata=other.said(idempotency_key="k-1"))
    deleted = caller.indexes.DeleteIndex(
        index_pb2.DeleteIndexRequest(index_id=first.index_id),
        metadata=caller.said(idempotency_key="k-1"),
    )

    assert theirs.index_id != first.index_id
    assert deleted.index_id == first.index_id


def test_a_refused_request_is_not_remembered(caller: Caller) -> None:
    said = caller.said(idempotency_key="k-1")
    unknown = index_pb2.DeleteIndexRequest(index_id="idx_none")

    refused = refusal(lambda: caller.indexes.DeleteIndex(unknown, metadata=said))
    index_id = caller.index()
    deletion = caller.indexes.DeleteIndex(
        index_pb2.DeleteIndexRequest(index_id=index_id), metadata=said
    )

    assert refused.http_status == 404
    assert deletion.index_id == index_id


@pytest.mark.parametrize("key", ["", " ", "x" * 256, "two words", '""'])
def test_a_key_that_is_no_key_is_refused(caller: Caller, key: str) -> None:
    said = caller.said(idempotency_key=key)

    refused = refusal(lambda: caller.indexes.CreateIndex(CREATE, metadata=said))

    assert refused.http_status == 400
    assert refused.violations == ("Idempotency-Key",)


def test_fifty_simultaneous_requests_with_one_key_happen_once(caller: Caller) -> None:
    said = caller.said(idempotency_key="k-1")
    with ThreadPoolExecutor(50) as pool:
        calls = [pool.submit(caller.indexes.CreateIndex, CREATE, metadata=said) for _ in range(50)]

    assert len({call.result().index_id for call in calls}) == 1
    assert _names(caller) == ["Archive"]


def test_fifty_simultaneous_executes_make_one_run(runner: Runner) -> None:
    caller = runner.caller
    request = runner.request(runner.video(2), processing_model="canned")
    said = caller.said(idempotency_key="run-1")
    with ThreadPoolExecutor(50) as pool:
        calls = [
            pool.submit(caller.runs.ExecutePromptRun, request, metadata=said) for _ in range(50)
        ]

    (run_id,) = {call.result().run_id for call in calls}
    listed = caller.runs.ListPromptRuns(
        prompt_run_pb2.ListPromptRunsRequest(), metadata=caller.said()
    )
    assert [run.run_id for run in listed.data] == [run_id]


def test_simultaneous_requests_for_all_that_failed_with_one_key_retry_each_segment_once(
    runner: Runner,
) -> None:
    caller = runner.caller
    run = runner.finished(runner.video(), processing_model="canned:flaky")
    request = prompt_run_pb2.RetryFailedSegmentsRequest(run_id=run.run_id)
    said = caller.said(idempotency_key="mend-1")
    with ThreadPoolExecutor(8) as pool:
        calls = [
            pool.submit(caller.runs.RetryFailedSegments, request, metadata=said) for _ in range(8)
        ]
    first, *others = [call.result() for call in calls]
    for retry in first.retries:
        runner.retry_ended(retry)
    later, replay = caller.runs.RetryFailedSegments.with_call(request, metadata=said)
    request.force = True
    refused = refusal(lambda: caller.runs.RetryFailedSegments(request, metadata=said))

    assert first.retry_count == 3
    assert all(answer == first for answer in (*others, later))
    assert dict(replay.initial_metadata())["idempotent-replayed"] == "true"
    assert refused.reason == "idempotency_key_reused"


def test_what_a_server_reserved_before_it_died_is_taken_over(caller: Caller) -> None:
    use = KeyUse(owner_id=caller.owner, operation="UploadVideo", key="k-1")
    live = caller.live
    live.thread.run(live.database.write(lambda tx: idempotency.reserve(tx, use)))
    clip = footage.shots(2, 2, sound=False).path

    first = caller.upload(clip, idempotency_key="k-1")
    again = caller.upload(clip, idempotency_key="k-1")

    assert again == first
