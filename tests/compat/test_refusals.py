"""Each refusal as the exception that the vendor's client has for it, and idempotency."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from videovector import (
    AuthenticationError,
    AuthorizationError,
    ConflictError,
    IdempotencyError,
    NotFoundError,
    RateLimitError,
    ValidationError,
)

from promptreel_server.domain.key import Scope
from tests.compat.conftest import SCHEMA, Opener, Stage, clip
from tests.compat.vendor import Calls, bad_fields, vendor_client
from tests.served import served


def test_authenticate_tells_a_good_key_from_a_bad_one(stage: Stage, opened: Opener) -> None:
    assert stage.client.authenticate() == {}

    with pytest.raises(AuthenticationError) as refused:
        opened(key="sk_nobody").authenticate()

    assert refused.value.error_code == "unauthenticated"
    assert refused.value.request_id


def test_a_wrong_key_is_unauthenticated_everywhere(opened: Opener) -> None:
    client = opened(key="sk_nobody")
    calls: Calls = [
        client.indexes.list,
        client.prompt_runs.list,
        lambda: client.prompts.retrieve("prompt_x"),
        lambda: client.videos.upload(file=clip(), title="x"),
    ]
    for call in calls:
        with pytest.raises(AuthenticationError):
            call()


@pytest.mark.parametrize(
    ("scope", "needed"),
    [(Scope.SEARCH, "read"), (Scope.READ, "write"), (Scope.WRITE, "admin")],
)
def test_too_little_scope_is_an_authorization_error(
    stage: Stage, opened: Opener, scope: Scope, needed: str
) -> None:
    client = opened(owner=stage.owner, scope=scope)
    calls: Calls = {
        "read": [
            client.indexes.list,
            lambda: client.prompt_runs.retrieve("run_x"),
            lambda: client.prompt_runs.get_llm_calls("run_x"),
        ],
        "write": [
            lambda: client.indexes.create(name="x"),
            lambda: client.prompt_runs.cancel("run_x"),
            lambda: client.prompt_runs.retry_segment("run_x", "vid_x", "seg_x"),
            lambda: client.videos.upload(file=clip(), title="x"),
        ],
        "admin": [
            lambda: client.indexes.delete(stage.index_id),
            lambda: client.videos.delete(stage.video_id),
            lambda: client.prompts.delete(stage.prompt_id),
        ],
    }[needed]

    for call in calls:
        with pytest.raises(AuthorizationError) as refused:
            call()
        assert (refused.value.details or {})["needed"] == needed


def test_unknown_ids_are_not_found_and_named(stage: Stage) -> None:
    runs, client = stage.client.prompt_runs, stage.client
    calls: dict[str, Calls] = {
        "run_nobody": [
            lambda: runs.retrieve("run_nobody"),
            lambda: runs.cancel("run_nobody"),
            lambda: runs.list_results("run_nobody", video_id=stage.video_id),
            lambda: runs.get_llm_calls("run_nobody"),
            lambda: runs.get_failed_segments("run_nobody"),
            lambda: runs.get_video_result("run_nobody", stage.video_id),
            lambda: runs.retry_segment("run_nobody", stage.video_id, "seg_x"),
        ],
        "prompt_nobody": [
            lambda: client.prompts.retrieve("prompt_nobody"),
            lambda: stage.execute(prompt_id="prompt_nobody"),
        ],
        "idx_nobody": [
            lambda: client.indexes.retrieve("idx_nobody"),
            lambda: stage.execute(target={"type": "index", "index_id": "idx_nobody"}),
        ],
        "vid_nobody": [
            lambda: client.videos.retrieve("vid_nobody"),
            lambda: stage.execute(
                target={"type": "videos", "video_ids": [stage.video_id, "vid_nobody"]}
            ),
        ],
        "job_nobody": [lambda: client.import_jobs.retrieve("job_nobody")],
    }
    for named, refusals in calls.items():
        for call in refusals:
            with pytest.raises(NotFoundError) as refused:
                call()
            assert named in refused.value.message
            assert refused.value.error_code == "not_found"


def test_somebody_elses_run_is_not_found(stage: Stage, stranger: Any) -> None:
    run = stage.finished(processing_model="canned:flaky")
    failed = stage.client.prompt_runs.get_failed_segments(run.run_id).videos[0].segments[0]
    runs, ids = stranger.prompt_runs, (run.run_id, stage.video_id, failed.segment_id)

    calls: Calls = [
        lambda: runs.retrieve(run.run_id),
        lambda: runs.cancel(run.run_id),
        lambda: runs.list_results(run.run_id, video_id=stage.video_id),
        lambda: runs.get_llm_calls(run.run_id),
        lambda: runs.get_video_result(run.run_id, stage.video_id),
        lambda: runs.get_failed_segments(run.run_id),
        lambda: runs.retry_segment(*ids),
        lambda: runs.get_segment_retry_status(*ids, "retry_x"),
    ]
    for call in calls:
        with pytest.raises(NotFoundError):
            call()
    assert run.run_id not in {one.run_id for one in runs.list()}


def test_a_strangers_media_or_prompt_can_not_be_run_on(stage: Stage, stranger: Any) -> None:
    own = stranger.prompts.create(
        name="Mine", prompt_text="Say what is to be seen.", json_schema=SCHEMA
    )
    asked = {
        "processing_model": "canned",
        "video_segmentation_type": "fixed",
        "video_segment_duration": 2,
    }
    videos = {"type": "videos", "video_ids": [stage.video_id]}

    for prompt_id, target in (
        (own.prompt_id, videos),
        (own.prompt_id, {"type": "index", "index_id": stage.index_id}),
        (stage.prompt_id, {"type": "playground"}),
    ):
        with pytest.raises(NotFoundError):
            stranger.prompt_runs.execute(prompt_id=prompt_id, target=target, **asked)


def test_a_target_without_media_is_empty(stage: Stage, stranger: Any) -> None:
    index_id = stage.client.indexes.create(name="Empty").index_id

    with pytest.raises(ValidationError) as refused:
        stage.execute(target={"type": "index", "index_id": index_id})

    assert refused.value.status_code == 400
    assert refused.value.error_code == "empty_target"


def test_an_unknown_model_is_refused_with_the_known_ones(stage: Stage) -> None:
    with pytest.raises(ValidationError) as refused:
        stage.execute(processing_model="nobody-knows-me")

    assert refused.value.error_code == "unknown_model"
    for known in ("local", "canned"):
        assert known in refused.value.message


def test_a_duration_without_fixed_is_refused(stage: Stage) -> None:
    with pytest.raises(ValidationError) as refused:
        stage.execute(video_segmentation_type="smart", video_segment_duration=5)

    assert bad_fields(refused.value) == ["video_segment_duration"]


def test_a_prompt_of_a_name_too_short_is_a_validation_error(stage: Stage) -> None:
    with pytest.raises(ValidationError) as refused:
        stage.prompt(name="x")

    assert refused.value.status_code == 400
    assert refused.value.error_code == "invalid_request"


def test_a_key_answers_again_what_it_was_answered(stage: Stage) -> None:
    client, key = stage.client, uuid.uuid4().hex

    index = client.indexes.create(name="Once", idempotency_key=key)
    prompt = stage.prompt(idempotency_key=key)
    run = stage.execute(idempotency_key=key)
    job = client.videos.upload(file=clip(), title="Once", idempotency_key=key)
    stage.ended(run.run_id)

    assert client.indexes.create(name="Once", idempotency_key=key) == index
    assert stage.prompt(idempotency_key=key) == prompt
    again = stage.execute(idempotency_key=key)
    assert (again.run_id, again.status) == (run.run_id, "pending")
    replayed = client.videos.upload(file=clip(), title="Once", idempotency_key=key)
    assert replayed.job_id == job.job_id
    done = client.import_jobs.wait_for_completion(job.job_id, poll_interval=0.05)
    client.videos.delete(done.video_ids[0])


def test_a_key_with_another_request_is_an_idempotency_error(stage: Stage) -> None:
    client, key = stage.client, uuid.uuid4().hex
    client.indexes.create(name="One", idempotency_key=key)
    stage.prompt(idempotency_key=key)
    run = stage.execute(idempotency_key=key)

    calls: Calls = [
        lambda: client.indexes.create(name="Two", idempotency_key=key),
        lambda: stage.prompt(name="Another", idempotency_key=key),
        lambda: stage.execute(video_segment_duration=3, idempotency_key=key),
    ]
    for call in calls:
        with pytest.raises(IdempotencyError) as refused:
            call()
        assert refused.value.status_code == 422
        assert refused.value.error_code == "idempotency_key_reused"
    stage.ended(run.run_id)


def test_a_retry_with_the_same_key_is_one_retry(stage: Stage) -> None:
    runs, key = stage.client.prompt_runs, uuid.uuid4().hex
    run = stage.finished(processing_model="canned:flaky")
    failed = runs.get_failed_segments(run.run_id).videos[0].segments[0]
    ids = (run.run_id, stage.video_id, failed.segment_id)

    first = runs.retry_segment(*ids, idempotency_key=key)
    again = runs.retry_segment(*ids, idempotency_key=key)

    assert again == first
    assert first.idempotency_key == key


def test_a_refused_request_leaves_its_key_free(stage: Stage) -> None:
    key = uuid.uuid4().hex
    with pytest.raises(ValidationError):
        stage.client.indexes.create(name="", idempotency_key=key)

    assert stage.client.indexes.create(name="Good", idempotency_key=key).name == "Good"


def test_a_retry_while_the_run_is_going_is_a_conflict(stage: Stage) -> None:
    run = stage.execute(processing_model="canned:slow")
    with pytest.raises(ConflictError):
        stage.client.prompt_runs.retry_segment(run.run_id, stage.video_id, "seg_x")
    stage.ended(run.run_id)


@pytest.fixture(scope="module")
def slow_door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The address of a server that lets a key call 3 times and then once in 2 seconds; its key."""
    pace = {"PROMPTREEL_REQUESTS_PER_SECOND": "0.5", "PROMPTREEL_REQUEST_BURST": "3"}
    data: Path = tmp_path_factory.mktemp("slow-door")
    with served(data, environment=pace) as running:
        yield running.api, running.key


@pytest.mark.parametrize("form", ["sync", "async"])
def test_too_many_calls_are_a_rate_limit_error(slow_door: tuple[str, str], form: Any) -> None:
    address, key = slow_door
    with vendor_client(form, api_key=key, base_url=address) as client:

        def hurry() -> None:
            for _ in range(10):
                client.indexes.list()

        with pytest.raises(RateLimitError) as refused:
            hurry()

    assert isinstance(refused.value.retry_after, int)
    assert 1 <= refused.value.retry_after <= 5
    assert refused.value.error_code == "rate_limited"


def test_the_client_waits_and_comes_through(slow_door: tuple[str, str]) -> None:
    address, key = slow_door
    with vendor_client("sync", api_key=key, base_url=address, max_retries=5) as client:
        assert [len(client.indexes.list()) for _ in range(3)] == [0, 0, 0]
