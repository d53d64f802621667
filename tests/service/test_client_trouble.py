"""The client against the whole server when things go wrong: refusals, cuts, half an upload."""

import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from promptreel_client import Client, errors
from promptreel_server.domain.key import Scope
from tests import footage
from tests.service.caller import Caller
from tests.service.cuttable import Cuttable
from tests.service.runner import Runner


@pytest.fixture
def client(caller: Caller) -> Iterator[Client]:
    with Client(caller.live.address, api_key=caller.key) as client:
        yield client


@pytest.fixture
def way(caller: Caller) -> Iterator[Cuttable]:
    with Cuttable(caller.live.address) as way:
        yield way


def test_what_is_not_there_is_named(client: Client) -> None:
    with pytest.raises(errors.NotFoundError) as caught:
        client.prompt_runs.retrieve("run_0")
    assert caught.value.code == "not_found"
    assert caught.value.request_id
    assert "run_0" in caught.value.message


def test_a_wrong_key_and_too_small_a_scope_are_told_apart(caller: Caller) -> None:
    reading = caller.live.make_key(caller.owner, Scope.READ)
    with (
        Client(caller.live.address, api_key="sk_wrong") as stranger,
        Client(caller.live.address, api_key=reading) as reader,
    ):
        with pytest.raises(errors.AuthenticationError):
            stranger.indexes.retrieve("idx_1")
        with pytest.raises(errors.PermissionDeniedError, match="write"):
            reader.indexes.create("Archive")


def test_an_invalid_request_names_its_fields(client: Client) -> None:
    with pytest.raises(errors.InvalidRequestError) as caught:
        client.indexes.create("")
    assert [violation.field for violation in caught.value.field_violations] == ["name"]
    with pytest.raises(errors.InvalidRequestError, match="limit"):
        client.prompt_runs.list(limit=5000).page()


def test_a_key_makes_a_write_happen_once(client: Client) -> None:
    one = client.indexes.create("Archive", idempotency_key="k1")
    again = client.indexes.create("Archive", idempotency_key="k1")
    assert one == again
    with pytest.raises(errors.IdempotencyError) as caught:
        client.indexes.create("Another", idempotency_key="k1")
    assert caught.value.code == "idempotency_key_reused"
    assert len(list(client.indexes.list(include_defaults=False))) == 1


def test_a_cursor_of_another_list_is_refused(client: Client) -> None:
    for name in ("One", "Two"):
        client.indexes.create(name)
    cursor = client.indexes.list(limit=1).page().next_cursor
    with pytest.raises(errors.InvalidRequestError) as caught:
        client.prompt_runs.list(cursor=cursor).page()
    assert caught.value.code == "invalid_cursor"


def test_a_conflict_says_which_state_forbids_it(client: Client, runner: Runner) -> None:
    video_id = runner.video()
    run = runner.finished(video_id)
    segment_id = next(iter(client.videos.list_segments(video_id))).segment_id
    with pytest.raises(errors.ConflictError) as caught:
        client.prompt_runs.retry_segment(run.run_id, video_id, segment_id)
    assert caught.value.code == "segment_not_failed"


@pytest.mark.parametrize("seed", [1, 2])
def test_a_watch_cut_at_random_sees_what_an_undisturbed_one_sees(
    caller: Caller, runner: Runner, way: Cuttable, seed: int
) -> None:
    run = runner.execute(
        runner.video(*[4] * 20), video_segment_duration=1, processing_model="canned:slow"
    )
    over = threading.Event()

    def cut_again_and_again() -> None:
        chance = random.Random(seed)
        while not over.wait(chance.uniform(0.01, 0.3)):
            way.cut()

    cutter = threading.Thread(target=cut_again_and_again)
    cutter.start()
    try:
        with Client(way.address, api_key=caller.key) as client:
            seen = [
                (update.sequence, update.event)
                for update in client.prompt_runs.watch(run.run_id)
                if update.event is not None
            ]
    finally:
        over.set()
        cutter.join()
    with Client(caller.live.address, api_key=caller.key) as client:
        undisturbed = [
            (update.sequence, update.event)
            for update in client.prompt_runs.watch(run.run_id)
            if update.event is not None
        ]
    assert seen == undisturbed
    assert way.cuts > 3


def test_results_cut_at_random_come_once_each(
    caller: Caller, runner: Runner, way: Cuttable
) -> None:
    video_id = runner.video(*[4] * 10)
    run = runner.execute(video_id, video_segment_duration=1, processing_model="canned:slow")
    with Client(way.address, api_key=caller.key) as client:
        ids = []
        for number, result in enumerate(client.prompt_runs.stream_results(run.run_id)):
            ids.append(result.segment_id)
            if number % 7 == 3:
                way.cut()
    assert len(ids) == len(set(ids)) == 40


def test_calls_over_a_way_that_was_cut_go_on(caller: Caller, way: Cuttable) -> None:
    with Client(way.address, api_key=caller.key) as client:
        for number in range(5):
            client.indexes.create(f"Index {number}")
            way.cut()
        assert len(list(client.indexes.list(include_defaults=False))) == 5


@pytest.mark.parametrize("size", [50_000, 1_200_000])
def test_an_upload_that_its_caller_leaves_makes_no_media(
    caller: Caller, tmp_path: Path, size: int
) -> None:
    """A WAV file can be read however short it is cut: half an upload must not pass for a whole."""
    whole = footage.tone(40).path.read_bytes()[:size]
    clip = tmp_path / "half.wav"
    clip.write_bytes(whole)

    def leave(sent: int, total: int | None) -> None:
        if sent == size:
            raise InterruptedError

    before = caller.live.files()
    with Client(caller.live.address, api_key=caller.key) as client:
        for _ in range(10):
            with pytest.raises(InterruptedError):
                client.videos.upload(clip, on_progress=leave)
        time.sleep(1)
        assert list(client.import_jobs.list()) == []
        assert list(client.videos.list_playground()) == []
    assert caller.live.files() == before
