"""kill -9 at random moments loses no finished segment and repeats no finished LLM call."""

import asyncio
import os
import random
import sqlite3
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from promptreel_client import Client, PromptRun, RunStatus
from promptreel_server.commands.doctor import State, examine
from promptreel_server.settings import Settings
from tests import footage
from tests.chaos.mortal import Mortal
from tests.chaos.stand_in import Answered, StandIn, stand_in

SEED = int(os.environ.get("CHAOS_SEED", "20261122"))
LONG = os.environ.get("CHAOS") == "long"
KILLS = 30 if LONG else 5
SECONDS = 100 if LONG else 20
"""Segments of one second of each of four media items."""

SCHEMA = {"type": "object", "properties": {"summary": {"type": "string"}}, "required": ["summary"]}


@pytest.fixture
def model() -> Iterator[StandIn]:
    with stand_in() as made:
        yield made


@pytest.fixture
def mortal(model: StandIn, tmp_path: Path) -> Iterator[Mortal]:
    script = {
        "latency_seconds": 0.1,
        "stand_in_url": model.url,
        "faults": [{"failure_code": "schema_invalid", "one_in": 9, "attempts": [1]}],
    }
    made = Mortal(data=tmp_path, scripts={"chaos": script}, dice=random.Random(SEED), kills=KILLS)
    made.begin()
    try:
        yield made
    finally:
        made.end()


@pytest.mark.slow
@pytest.mark.timeout(1500 if LONG else 300)
def test_nothing_is_lost_or_repeated_however_often_the_server_dies(
    mortal: Mortal, model: StandIn
) -> None:
    share = KILLS // 5 or 1
    with mortal.dying(share):
        index_id = mortal.call(lambda c: c.indexes.create(name="all", idempotency_key="i").index_id)
        videos = [_upload(mortal, index_id, number) for number in range(4)]
    with mortal.dying(KILLS - 4 * share):
        run_id = _execute(mortal, index_id)
        ended = _ended(mortal, run_id)
    _check_run(mortal, model, ended, videos)
    with mortal.dying(share):
        mortal.call(lambda c: c.prompt_runs.retry_failed(run_id, idempotency_key="retry"))
        mended = _mended(mortal, run_id)
    assert mended.status is RunStatus.COMPLETED
    _check_run(mortal, model, mended, videos)
    with mortal.dying(share):
        mortal.call(lambda c: c.videos.delete(videos[0]))
        _deleted(mortal, videos[0])
    with mortal.dying(share):
        _upload(mortal, index_id, 9)
    mortal.end()
    _check_files(mortal)


def _upload(mortal: Mortal, index_id: str, number: int) -> str:
    clip = footage.shots(SECONDS, size=(96 + 16 * number, 64), sound=False, rate="5")
    key = f"upload-{number}"

    def ask(client: Client) -> str:
        job = client.videos.upload(
            file=clip.path, title=f"clip {number}", index_id=index_id, idempotency_key=key
        )
        assert job.video_ids, job
        return job.video_ids[0]

    return mortal.call(ask)


def _execute(mortal: Mortal, index_id: str) -> str:
    def ask(client: Client) -> str:
        prompt = client.prompts.create(
            name="chaos",
            prompt_text="Say what happens here.",
            json_schema=SCHEMA,
            video_level={"instructions_text": "Sum it all up.", "json_schema": SCHEMA},
            idempotency_key="prompt",
        )
        return client.prompt_runs.execute(
            prompt_id=prompt.prompt_id,
            target={"type": "index", "index_id": index_id},
            video_segmentation_type="fixed",
            video_segment_duration=1,
            processing_model="canned:chaos",
            enable_transcription=False,
            enable_image_embedding=False,
            idempotency_key="run",
        ).run_id

    return mortal.call(ask)


def _ended(mortal: Mortal, run_id: str) -> PromptRun:
    until = time.monotonic() + 240
    while time.monotonic() < until:
        run = mortal.call(lambda c: c.prompt_runs.retrieve(run_id))
        if run.status not in (RunStatus.PENDING, RunStatus.PROCESSING):
            return run
        time.sleep(0.1)
    raise AssertionError(f"the run is stuck: {run}")


def _mended(mortal: Mortal, run_id: str) -> PromptRun:
    until = time.monotonic() + 240
    while time.monotonic() < until:
        run = mortal.call(lambda c: c.prompt_runs.retrieve(run_id))
        level = mortal.call(lambda c: c.prompt_runs.retrieve(run_id)).video_level_completed_items
        if run.status is RunStatus.COMPLETED and level == 4:
            return run
        time.sleep(0.1)
    raise AssertionError(f"the retries are stuck: {run}")


def _deleted(mortal: Mortal, video_id: str) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until:
        if mortal.call(lambda c: c.videos.get_deletion(video_id)).status == "deleted":
            return
        time.sleep(0.1)
    raise AssertionError("the deletion is stuck")


def _rows(mortal: Mortal, statement: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(mortal.data / "promptreel.db", timeout=30) as connection:
        return list(connection.execute(statement))


def _check_run(mortal: Mortal, model: StandIn, run: PromptRun, videos: list[str]) -> None:
    """Every segment has one result, every call is on record, counters say what the rows say.

    The stand-in is asked for what the script lets succeed; a struck attempt never gets to it.
    """
    total = SECONDS * len(videos)
    assert run.total_segments == total
    statuses = Counter(
        str(status) for (status,) in _rows(mortal, "SELECT status FROM run_segments")
    )
    assert statuses["completed"] == run.completed_segments
    assert statuses["failed"] == run.field_extraction_failures
    assert sum(statuses.values()) == total
    recorded = Counter(
        str(segment)
        for (segment,) in _rows(
            mortal,
            "SELECT segment_id FROM llm_calls"
            " WHERE purpose = 'metadata_extraction' AND status = 'success'",
        )
    )
    answered: defaultdict[str, list[Answered]] = defaultdict(list)
    for answer in model.answers:
        if answer.purpose == "metadata_extraction" and answer.segment_id is not None:
            answered[answer.segment_id].append(answer)
    assert set(recorded) == set(answered)
    for segment_id, answers in answered.items():
        lost = len(answers) - recorded[segment_id]
        assert lost >= 0, "a call is on record that nobody answered"
        assert lost <= _cut_short(mortal, answers), "a finished call was made again"


def _cut_short(mortal: Mortal, answers: list[Answered]) -> int:
    """How many of these answers a kill may have kept from being written: those just before one."""
    return sum(
        any(0 <= killed - answer.at < 1.0 for killed in mortal.killed_at) for answer in answers
    )


def _check_files(mortal: Mortal) -> None:
    """No file without a row, no row without a file, no counter that is wrong, no run stuck."""
    settings = Settings(data=mortal.data)
    findings = asyncio.run(examine(settings, repair=False))
    about_data = [one for one in findings if not one.check.startswith("model ")]
    assert [one for one in about_data if one.state is not State.WELL] == []
