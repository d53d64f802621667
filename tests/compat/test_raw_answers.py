"""Every answer as raw JSON against the field lists of the contract."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.compat.conftest import SCHEMA, VIDEO_LEVEL, Stage, clip
from tests.compat.shapes import faults

Ids = dict[str, str]


@pytest.fixture(scope="module")
def ids(stage: Stage) -> Ids:
    """A finished run, a flaky one with a retried segment, an import job."""
    runs = stage.client.prompt_runs
    run = stage.finished()
    flaky = stage.finished(processing_model="canned:flaky")
    failed = runs.get_failed_segments(flaky.run_id).videos[0].segments
    retry = runs.retry_segment(flaky.run_id, stage.video_id, failed[0].segment_id)
    job = stage.client.import_jobs.list()[0]
    return {
        "index": stage.index_id,
        "video": stage.video_id,
        "prompt": stage.prompt_id,
        "run": run.run_id,
        "flaky": flaky.run_id,
        "segment": failed[0].segment_id,
        "retry": retry.retry_id,
        "job": job.job_id,
    }


GETS = {
    "/indexes": "[Index]",
    "/indexes?include_defaults=false": "[Index]",
    "/indexes/{index}": "Index",
    "/indexes/{index}/videos": "page Video",
    "/indexes/{index}/prompt-runs": "page PromptRun",
    "/videos/{video}": "Video",
    "/videos/{video}/segments": "page Segment",
    "/videos/{video}/segments?run_id={flaky}": "page Segment",
    "/videos/{video}/segments?latest_run=true&limit=2": "page Segment",
    "/videos/{video}/prompt-runs": "[PromptRun]",
    "/playground/videos": "page Video",
    "/import-jobs": "[ImportJob]",
    "/import-jobs?status=completed": "[ImportJob]",
    "/import-jobs/{job}": "ImportJob",
    "/import-jobs/{job}/outputs": "Outputs",
    "/prompts": "Prompts",
    "/prompts?active_only=false&include_defaults=false": "Prompts",
    "/prompts/{prompt}": "Prompt",
    "/prompts/{prompt}/usage": "Usage",
    "/prompt-runs": "[PromptRun]",
    "/prompt-runs?status=completed_with_failures&limit=1": "[PromptRun]",
    "/prompt-runs?index_id={index}": "[PromptRun]",
    "/prompt-runs?video_id={video}&prompt_id={prompt}": "[PromptRun]",
    "/prompt-runs/{run}": "PromptRun",
    "/prompt-runs/{flaky}": "PromptRun",
    "/prompt-runs/{run}/results?video_id={video}": "page SegmentRunResult",
    "/prompt-runs/{flaky}/results?video_id={video}&limit=2": "page SegmentRunResult",
    "/prompt-runs/{run}/videos/{video}/video-result": "VideoResult",
    "/prompt-runs/{flaky}/videos/{video}/video-result": "VideoResult",
    "/prompt-runs/{run}/failed-segments": "Manifest",
    "/prompt-runs/{flaky}/failed-segments": "Manifest",
    "/prompt-runs/{flaky}/videos/{video}/segments/{segment}/retries": "page RetryStatus",
    "/prompt-runs/{flaky}/videos/{video}/segments/{segment}/retries/{retry}": "RetryStatus",
    "/prompt-runs/{run}/llm-calls": "[LlmCall]",
    "/prompt-runs/{flaky}/llm-calls?status=error&limit=2": "[LlmCall]",
}


def _faults(shape: str, answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"]
    if shape.startswith("page "):
        body = answer.json()
        assert set(body) == {"data", "pagination"}
        in_data = faults(f"[{shape.removeprefix('page ')}]", body["data"])
        return in_data + faults("Pagination", body["pagination"])
    return faults(shape, answer.json())


@pytest.mark.parametrize("path", GETS)
def test_what_is_read_has_the_fields_of_the_contract(
    raw: httpx.Client, ids: Ids, path: str
) -> None:
    assert _faults(GETS[path], raw.get(path.format(**ids))) == []


Act = Callable[[httpx.Client, Ids], httpx.Response]


def _run_body(ids: Ids) -> dict[str, Any]:
    return {
        "prompt_id": ids["prompt"],
        "target": {"type": "index", "index_id": ids["index"]},
        "video_segmentation_type": "fixed",
        "video_segment_duration": 6,
        "processing_model": "canned",
        "enable_image_embedding": False,
    }


def _prompt_body() -> dict[str, Any]:
    return {
        "name": "Raw",
        "prompt_text": "Say what is to be seen.",
        "json_schema": SCHEMA,
        "video_level": VIDEO_LEVEL,
    }


def _upload(raw: httpx.Client, title: str) -> httpx.Response:
    with clip().open("rb") as file:
        return raw.post("/videos/upload", files={"file": file}, data={"title": title})


def _delete_upload(raw: httpx.Client, ids: Ids) -> httpx.Response:
    return raw.delete(f"/videos/{_upload(raw, 'Gone').json()['video_ids'][0]}")


def _delete_index(raw: httpx.Client, ids: Ids) -> httpx.Response:
    return raw.delete(f"/indexes/{raw.post('/indexes', json={'name': 'x'}).json()['index_id']}")


def _retry(raw: httpx.Client, ids: Ids) -> httpx.Response:
    manifest = raw.get(f"/prompt-runs/{ids['flaky']}/failed-segments").json()
    segment_id = manifest["videos"][0]["segments"][-1]["segment_id"]
    place = f"/prompt-runs/{ids['flaky']}/videos/{ids['video']}/segments/{segment_id}/retry"
    return raw.post(place, headers={"Idempotency-Key": f"retry-{segment_id}"})


ACTS: dict[str, tuple[str, Act]] = {
    "create an index": ("Index", lambda raw, ids: raw.post("/indexes", json={"name": "Raw"})),
    "delete an index": ("Deletion", _delete_index),
    "upload": ("ImportJob", lambda raw, ids: _upload(raw, "Raw")),
    "delete a video": ("Deletion", _delete_upload),
    "batch": (
        "[Video]",
        lambda raw, ids: raw.post("/videos/batch", json={"video_ids": [ids["video"]]}),
    ),
    "batch status": (
        "[VideoStatus]",
        lambda raw, ids: raw.post("/videos/batch/status", json={"video_ids": [ids["video"]]}),
    ),
    "batch segments": (
        "[VideoSegments]",
        lambda raw, ids: raw.post("/videos/batch/segments", json={"video_ids": [ids["video"]]}),
    ),
    "batch segments of a run": (
        "[VideoSegments]",
        lambda raw, ids: raw.post(
            "/videos/batch/segments",
            json={"targets": [{"video_id": ids["video"], "run_id": ids["flaky"]}]},
        ),
    ),
    "create a prompt": ("Prompt", lambda raw, ids: raw.post("/prompts", json=_prompt_body())),
    "change a prompt": (
        "Prompt",
        lambda raw, ids: raw.put(f"/prompts/{ids['prompt']}", json={"description": "Other."}),
    ),
    "try a schema": (
        "SchemaTest",
        lambda raw, ids: raw.post(
            "/prompts/test-schema",
            json={"json_schema": {"type": "object"}, "sample_data": {"a": 1}},
        ),
    ),
    "execute": (
        "PromptRun",
        lambda raw, ids: raw.post("/prompt-runs/execute", json=_run_body(ids)),
    ),
    "estimate": (
        "Estimate",
        lambda raw, ids: raw.post("/prompt-runs/estimate", json=_run_body(ids)),
    ),
    "cancel": ("PromptRun", lambda raw, ids: raw.post(f"/prompt-runs/{ids['run']}/cancel")),
    "retry": ("Retry", _retry),
    "retry what failed": (
        "RetriedMany",
        lambda raw, ids: raw.post(f"/prompt-runs/{ids['flaky']}/retry-failed", json={}),
    ),
}


@pytest.mark.parametrize("act", ACTS)
def test_what_is_done_answers_the_fields_of_the_contract(
    raw: httpx.Client, ids: Ids, act: str
) -> None:
    shape, do = ACTS[act]

    assert _faults(shape, do(raw, ids)) == []


def test_segments_and_results_are_validated_by_their_prompt(raw: httpx.Client, ids: Ids) -> None:
    place = f"/prompt-runs/{ids['run']}/results?video_id={ids['video']}"
    for result in raw.get(place).json()["data"]:
        assert set(result["metadata"]) == {"summary", "count", "people"}
        assert isinstance(result["metadata"]["count"], int)


def test_a_list_that_goes_on_says_so_in_a_header(raw: httpx.Client, ids: Ids) -> None:
    seen: list[str] = []
    cursor: str | None = None
    while cursor is not None or not seen:
        page = raw.get("/prompt-runs", params={"limit": 2} | ({"cursor": cursor} if cursor else {}))
        seen += [run["run_id"] for run in page.json()]
        cursor = page.headers.get("x-next-cursor")

    whole = [run["run_id"] for run in raw.get("/prompt-runs?limit=1000").json()]
    assert seen == whole


def test_a_replayed_answer_says_so_in_a_header(raw: httpx.Client, ids: Ids) -> None:
    said = {"Idempotency-Key": f"raw-{ids['run']}"}
    first = raw.post("/prompt-runs/execute", json=_run_body(ids), headers=said)
    again = raw.post("/prompt-runs/execute", json=_run_body(ids), headers=said)

    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json() == first.json()


def test_the_checker_sees_what_is_wrong() -> None:
    good = {"limit": 1, "has_more": False}

    assert faults("Pagination", good) == []
    assert faults("Pagination", {**good, "limit": "1"})
    assert faults("Pagination", {**good, "next_cursor": None})
    assert faults("Pagination", {**good, "more": True})
    assert faults("Pagination", {"limit": 1})
    assert faults("[Pagination]", good)
    assert faults("RUN", "COMPLETED")
    assert faults("ts", "yesterday")
