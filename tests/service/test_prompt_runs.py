from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import grpc
import pytest
from google.protobuf.json_format import MessageToDict

from promptreel.v2 import enums_pb2, prompt_run_pb2, result_pb2
from promptreel_server.domain.ids import VIDEO, new_id
from promptreel_server.store.catalogue import media
from promptreel_server.store.schema.transaction import Transaction
from tests.service.caller import Caller, refusal
from tests.service.runner import SEGMENTS, Mode, Runner, Status, TargetType

MediaResult = enums_pb2.SynthesisStatus.Value


def test_a_run_goes_from_pending_to_completed(runner: Runner) -> None:
    video_id = runner.video()

    accepted = runner.execute(video_id)
    run = runner.ended(accepted.run_id)

    assert accepted.status == Status.pending
    assert run.status == Status.completed
    assert (run.total_segments, run.completed_segments) == (SEGMENTS, SEGMENTS)
    assert (run.total_videos, run.completed_videos) == (1, 1)
    assert run.field_extraction_succeeded
    assert not run.HasField("image_embedding_succeeded")
    assert run.created_new_segments
    assert run.video_level_completed_items == 1
    assert [result.start_time for result in runner.results(run.run_id, video_id)] == [
        0, 2, 4, 6, 8, 10,
    ]  # fmt: skip


def test_what_is_left_out_of_a_request_is_filled_in(runner: Runner) -> None:
    request = prompt_run_pb2.ExecutePromptRunRequest(
        prompt_id=runner.prompt(),
        enable_image_embedding=False,
    )
    request.target.type = TargetType.videos
    request.target.video_ids.append(runner.video())

    run = runner.caller.runs.ExecutePromptRun(request, metadata=runner.caller.said())

    assert run.video_segmentation_type == Mode.smart
    assert run.audio_segmentation_type == Mode.content_aware
    assert run.processing_model == "canned"
    assert run.enable_transcription
    assert not run.enable_image_embedding
    assert runner.ended(run.run_id).status == Status.completed


def test_settings_and_target_are_frozen_as_asked(runner: Runner) -> None:
    index_id = runner.caller.index()
    runner.video(index_id=index_id)
    target = {"type": "index", "index_id": index_id}

    run = runner.execute(target=target)
    runner.video(index_id=index_id)
    ended = runner.ended(run.run_id)

    context = MessageToDict(ended.run_context)
    assert context["target"] == target
    assert context["video_segmentation_type"] == "fixed"
    assert context["video_segment_duration"] == 2
    assert ended.total_videos == 1


def test_a_media_item_named_twice_is_covered_once(runner: Runner) -> None:
    video_id = runner.video()

    run = runner.finished(video_id, video_id)

    assert (run.total_videos, run.total_segments) == (1, SEGMENTS)


Change = dict[str, Any]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"prompt_id": ""}, "prompt_id"),
        ({"target": None}, "target"),
        ({"target": {}}, "target.type"),
        ({"target": {"type": "index"}}, "target.index_id"),
        ({"target": {"type": "videos"}}, "target.video_ids"),
        ({"target": {"type": "videos", "video_ids": ["vid_x"] * 1001}}, "target.video_ids"),
        ({"target": {"type": "playground", "index_id": "idx_x"}}, "target.index_id"),
        ({"target": {"type": "playground", "video_ids": ["vid_x"]}}, "target.video_ids"),
        ({"video_segmentation_type": "image"}, "video_segmentation_type"),
        ({"video_segmentation_type": 99}, "video_segmentation_type"),
        ({"audio_segmentation_type": "smart"}, "audio_segmentation_type"),
        ({"video_segment_duration": None}, "video_segment_duration"),
        ({"video_segment_duration": 0}, "video_segment_duration"),
        ({"video_segment_duration": 301}, "video_segment_duration"),
        ({"video_segmentation_type": "smart"}, "video_segment_duration"),
        ({"audio_segmentation_type": "fixed"}, "audio_segment_duration"),
        ({"audio_segment_duration": 5}, "audio_segment_duration"),
    ],
)
def test_execute_and_estimate_refuse_alike_and_name_the_field(
    runner: Runner, change: Change, field: str
) -> None:
    request = runner.request("vid_x", **{"prompt_id": "prompt_x", **change})

    for refused in _both(runner.caller, request):
        assert refused.http_status == 400
        assert refused.violations == (field,)


@pytest.mark.parametrize("name", ["prompt", "index", "video", "a video among others"])
def test_unknown_ids_are_named_by_execute_and_estimate(runner: Runner, name: str) -> None:
    nobody = {"prompt": "prompt_nobody", "index": "idx_nobody"}.get(name, "vid_nobody")
    changes: dict[str, Change] = {
        "prompt": {"prompt_id": nobody},
        "index": {"target": {"type": "index", "index_id": nobody}},
        "video": {"target": {"type": "videos", "video_ids": [nobody]}},
        "a video among others": {
            "target": {"type": "videos", "video_ids": [runner.video(), nobody]}
        },
    }

    for refused in _both(runner.caller, runner.request(runner.video(), **changes[name])):
        assert refused.code is grpc.StatusCode.NOT_FOUND
        assert nobody in refused.message


def test_a_thousand_unknown_media_are_refused_by_name(runner: Runner) -> None:
    video_ids = [f"vid_{number:026}" for number in range(1000)]

    for refused in _both(runner.caller, runner.request(*video_ids)):
        assert refused.http_status == 404
        assert "vid_00000000000000000000000000" in refused.message


def test_media_of_another_index_are_refused(runner: Runner) -> None:
    video_id = runner.video(index_id=runner.caller.index("One"))
    target = {"type": "videos", "video_ids": [video_id], "index_id": runner.caller.index("Two")}

    for refused in _both(runner.caller, runner.request(target=target)):
        assert refused.violations == ("target.video_ids",)
        assert video_id in refused.message


def test_a_target_without_media_is_empty(runner: Runner) -> None:
    targets: list[Change] = [
        {"type": "index", "index_id": runner.caller.index()},
        {"type": "playground"},
    ]
    for target in targets:
        for refused in _both(runner.caller, runner.request(target=target)):
            assert (refused.http_status, refused.reason) == (400, "empty_target")


def test_an_unknown_model_is_refused_listing_the_known(runner: Runner) -> None:
    request = runner.request(runner.video(), processing_model="nobody")

    for refused in _both(runner.caller, request):
        assert (refused.http_status, refused.reason) == (400, "unknown_model")
        assert "canned" in refused.message


def test_an_estimate_knows_what_was_cut_before(runner: Runner) -> None:
    video_id, prompt_id = runner.video(), runner.prompt()
    request = prompt_run_pb2.EstimatePromptRunRequest(
        run=runner.request(video_id, prompt_id=prompt_id)
    )

    before = runner.caller.runs.EstimatePromptRun(request, metadata=runner.caller.said())
    runner.finished(video_id, prompt_id=prompt_id)
    after = runner.caller.runs.EstimatePromptRun(request, metadata=runner.caller.said())

    assert before.sufficient_balance
    assert MessageToDict(before.breakdown) != MessageToDict(after.breakdown)


def test_fifty_identical_executes_at_once_make_one_run(runner: Runner) -> None:
    request = runner.request(runner.video())
    said = runner.caller.said(idempotency_key="fifty")

    def execute(_: int) -> str:
        return runner.caller.runs.ExecutePromptRun(request, metadata=said).run_id

    with ThreadPoolExecutor(16) as threads:
        answered = set(threads.map(execute, range(50)))

    listed = runner.caller.runs.ListPromptRuns(
        prompt_run_pb2.ListPromptRunsRequest(), metadata=runner.caller.said()
    )
    assert len(answered) == 1
    assert len(listed.data) == 1
    runner.ended(listed.data[0].run_id)


def test_defaults_count_as_written_out_for_an_idempotency_key(runner: Runner) -> None:
    request = runner.request(runner.video())
    spelt = prompt_run_pb2.ExecutePromptRunRequest()
    spelt.CopyFrom(request)
    spelt.enable_transcription = True
    spelt.audio_segmentation_type = Mode.content_aware
    said = runner.caller.said(idempotency_key="spelt")

    first = runner.caller.runs.ExecutePromptRun(request, metadata=said)
    again, call = runner.caller.runs.ExecutePromptRun.with_call(spelt, metadata=said)

    assert again.run_id == first.run_id
    assert dict(call.initial_metadata())["idempotent-replayed"] == "true"
    runner.ended(first.run_id)


def test_runs_are_listed_by_filter_and_page(runner: Runner) -> None:
    index_id = runner.caller.index()
    one, two = runner.video(index_id=index_id), runner.video()
    of_index = runner.finished(target={"type": "index", "index_id": index_id})
    flaky = runner.finished(two, processing_model="canned:flaky")
    of_both = runner.finished(one, two)

    def listed(**asked: Any) -> list[str]:
        request = prompt_run_pb2.ListPromptRunsRequest(**asked)
        answer = runner.caller.runs.ListPromptRuns(request, metadata=runner.caller.said())
        return [run.run_id for run in answer.data]

    assert listed() == [of_both.run_id, flaky.run_id, of_index.run_id]
    assert listed(index_id=index_id) == [of_index.run_id]
    assert listed(video_id=one) == [of_both.run_id, of_index.run_id]
    assert listed(video_id=two) == [of_both.run_id, flaky.run_id]
    assert listed(prompt_id=flaky.prompt_id) == [flaky.run_id]
    assert listed(status=Status.completed_with_failures) == [flaky.run_id]
    assert _pages(runner, 2) == [2, 1]


def _pages(runner: Runner, limit: int) -> list[int]:
    sizes, cursor = [], None
    while True:
        request = prompt_run_pb2.ListPromptRunsRequest(limit=limit, cursor=cursor)
        answer = runner.caller.runs.ListPromptRuns(request, metadata=runner.caller.said())
        sizes.append(len(answer.data))
        if not answer.pagination.has_more:
            return sizes
        cursor = answer.pagination.next_cursor


@pytest.mark.parametrize("limit", [0, -1, 1001])
def test_a_page_of_runs_has_bounds(runner: Runner, limit: int) -> None:
    request = prompt_run_pb2.ListPromptRunsRequest(limit=limit)

    refused = refusal(
        lambda: runner.caller.runs.ListPromptRuns(request, metadata=runner.caller.said())
    )

    assert refused.violations == ("limit",)


def test_results_need_a_media_item_that_the_run_covers(runner: Runner) -> None:
    video_id, other_id = runner.video(), runner.video()
    run = runner.finished(video_id)

    def listing(video: str) -> Callable[[], Any]:
        request = prompt_run_pb2.ListResultsRequest(run_id=run.run_id, video_id=video)
        return lambda: runner.caller.runs.ListResults(request, metadata=runner.caller.said())

    assert refusal(listing("")).violations == ("video_id",)
    assert refusal(listing(other_id)).http_status == 404


def test_llm_calls_are_listed_by_filter(runner: Runner) -> None:
    video_id = runner.video()
    run = runner.finished(video_id, processing_model="canned:flaky")
    segment_id = runner.manifest(run.run_id).videos[0].segments[0].segment_id
    status = enums_pb2.LlmCallStatus.Value

    def count(**asked: Any) -> int:
        request = prompt_run_pb2.ListLlmCallsRequest(run_id=run.run_id, **asked)
        answer = runner.caller.runs.ListLlmCalls(request, metadata=runner.caller.said())
        return len(answer.data)

    assert count() == SEGMENTS + 1
    assert count(status=status.error) == 3
    assert count(status=status.success) == 4
    assert count(segment_id=segment_id) == 1
    assert count(video_id=video_id) == SEGMENTS + 1
    assert count(limit=2) == 2


def test_like_calls_are_answered_from_earlier_ones_unless_that_is_off(runner: Runner) -> None:
    video_id, prompt_id = runner.video(), runner.prompt()
    runner.finished(video_id, prompt_id=prompt_id)

    again = runner.finished(video_id, prompt_id=prompt_id)
    anew = runner.finished(video_id, prompt_id=prompt_id, reuse_llm_calls=False)

    def cached(run_id: str) -> int:
        request = prompt_run_pb2.ListLlmCallsRequest(run_id=run_id)
        answer = runner.caller.runs.ListLlmCalls(request, metadata=runner.caller.said())
        return sum(call.cached for call in answer.data)

    assert cached(again.run_id) >= SEGMENTS
    assert cached(anew.run_id) == 0


def test_a_credential_that_is_refused_fails_the_run_with_one_message(runner: Runner) -> None:
    run = runner.finished(runner.video(), processing_model="canned:denied")

    assert run.status == Status.failed
    assert run.error_message == "the script says so"
    assert run.completed_segments == 0


def test_the_synthesis_of_a_prompt_without_one_is_not_found(runner: Runner) -> None:
    video_id = runner.video()
    run = runner.finished(video_id, prompt_id=runner.prompt(video_level=None))

    refused = refusal(lambda: _synthesis(runner, run.run_id, video_id))

    assert refused.reason == "video_level_not_configured"
    assert not run.video_level_enabled


def test_a_synthesis_of_nothing_fails_and_says_so(runner: Runner) -> None:
    video_id = runner.video()
    run = runner.finished(video_id, processing_model="canned:hopeless")

    made = _synthesis(runner, run.run_id, video_id)

    assert run.status == Status.failed
    assert made.status == MediaResult.failed
    assert made.error_message
    assert len(made.omitted_segment_ids) == SEGMENTS
    assert not made.llm_attempted


def _synthesis(runner: Runner, run_id: str, video_id: str) -> result_pb2.VideoResult:
    request = prompt_run_pb2.GetVideoResultRequest(run_id=run_id, video_id=video_id)
    return runner.caller.runs.GetVideoResult(request, metadata=runner.caller.said())


def _both(caller: Caller, request: prompt_run_pb2.ExecutePromptRunRequest) -> list[Any]:
    estimate = prompt_run_pb2.EstimatePromptRunRequest(run=request)
    return [
        refusal(lambda: caller.runs.ExecutePromptRun(request, metadata=caller.said())),
        refusal(lambda: caller.runs.EstimatePromptRun(estimate, metadata=caller.said())),
    ]


@pytest.mark.slow
def test_a_run_over_a_thousand_media_comes_to_its_end(runner: Runner) -> None:
    caller = runner.caller
    video_id = runner.video()
    live = caller.live
    item = runner.read(lambda c: media.fetch(c, caller.owner, video_id))
    copies = [replace(item, video_id=new_id(VIDEO)) for _ in range(999)]

    def insert(tx: Transaction) -> None:
        for copy in copies:
            media.insert_item(tx, copy)

    live.thread.run(live.database.write(insert))
    ids = [video_id, *(copy.video_id for copy in copies)]

    accepted = runner.execute(*ids, video_segment_duration=6)
    run = runner.ended(accepted.run_id, seconds=100)

    assert run.status == Status.completed
    assert run.completed_videos == 1000
    assert run.completed_segments == run.total_segments == 2000
    assert run.video_level_completed_items == 1000
