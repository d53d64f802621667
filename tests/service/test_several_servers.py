"""Servers on one PostgreSQL, as processes: one drives what another took in, and what it left."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from promptreel_client import Client, RunStatus, SegmentationMode, Target, TargetType
from tests import footage
from tests.postgres import Postgres
from tests.served import Served, served
from tests.service.caller import until

SEGMENTS = 40
"""Segments of 1 s in each clip."""
CLIPS = 6
SCHEMA = {"type": "object", "properties": {"summary": {"type": "string"}}}


@pytest.fixture
def url(postgres: Postgres) -> str:
    return postgres.new_empty_database()


@pytest.fixture
def environment(url: str, tmp_path: Path) -> dict[str, str]:
    return {
        "PROMPTREEL_DATABASE_URL": url,
        "PROMPTREEL_MEDIA_FOLDER": str(tmp_path / "shared"),
        "PROMPTREEL_MEDIA_AT_ONCE": "2",
        "PROMPTREEL_SEGMENTS_IN_FLIGHT": "8",
    }


@contextmanager
def server(data: Path, environment: dict[str, str], key: str | None = None) -> Iterator[Served]:
    """A server with a data folder of its own; `key` is one that another server made."""
    if key is not None:
        data.mkdir()
        (data / "admin.key").write_text(key)
    with served(data, environment=environment, gateway=False) as running:
        yield running


def execute(client: Client, model: str) -> str:
    """Take in clips and run a prompt over them; answers the run's id."""
    index = client.indexes.create(f"clips of {model}")
    clip = footage.shots(SEGMENTS // 2, SEGMENTS // 2, sound=False).path
    for number in range(CLIPS):
        job = client.videos.upload(clip, title=f"{number}", index_id=index.index_id)
        client.import_jobs.wait(job.job_id, timeout=30)
    prompt = client.prompts.create(
        name="Scenes", prompt_text="Say what is there.", json_schema=SCHEMA
    )
    run = client.prompt_runs.execute(
        prompt_id=prompt.prompt_id,
        target=Target(type=TargetType.INDEX, index_id=index.index_id),
        video_segmentation_type=SegmentationMode.FIXED,
        video_segment_duration=1,
        processing_model=model,
        enable_image_embedding=False,
        enable_transcription=False,
    )
    return run.run_id


def counted(url: str, statement: str, *values: object) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute(statement.encode(), values).fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_what_a_killed_server_had_in_hand_another_one_finishes(
    url: str, environment: dict[str, str], tmp_path: Path
) -> None:
    with (
        server(tmp_path / "one", environment) as one,
        server(tmp_path / "two", environment, one.key) as two,
        Client(address=one.grpc, api_key=one.key) as client,
        Client(address=two.grpc, api_key=one.key) as other,
    ):
        run_id = execute(client, "canned:slow")
        updates = other.prompt_runs.watch(run_id)
        until(lambda: counted(url, IN_HAND) >= 3 or None)  # two each: neither could alone
        until(lambda: counted(url, CALLS, run_id) >= 100 or None)
        one.process.kill()
        sequences = [update.sequence for update in updates]
        run = other.prompt_runs.retrieve(run_id)

        assert run.status == "completed", run
        assert run.completed_segments == run.total_segments == CLIPS * SEGMENTS
        in_flight = 2 * 8  # what the killed one had asked goes with it
        assert SEGMENTS * CLIPS <= counted(url, CALLS, run_id) <= SEGMENTS * CLIPS + in_flight
        assert counted(url, RESULTS, run_id) == SEGMENTS * CLIPS
        assert sequences == sorted(sequences)
        assert sequences[-1] == counted(url, NEWEST, run_id)


def test_a_stop_that_one_server_takes_is_observed_by_the_one_that_drives(
    url: str, environment: dict[str, str], tmp_path: Path
) -> None:
    with (
        server(tmp_path / "one", environment) as one,
        Client(address=one.grpc, api_key=one.key) as client,
    ):
        run_id = execute(client, "canned:sluggish")
        until(lambda: counted(url, CALLS, run_id) >= 10 or None)
        with (
            server(
                tmp_path / "two", {**environment, "PROMPTREEL_MEDIA_AT_ONCE": "1"}, one.key
            ) as two,
            Client(address=two.grpc, api_key=one.key) as other,
        ):
            other.prompt_runs.cancel(run_id)
            run = other.prompt_runs.wait(run_id, timeout=30)

            assert run.status == RunStatus.CANCELLED
            requested_at, observed_at = run.stop_state.requested_at, run.stop_state.observed_at
            assert requested_at is not None
            assert observed_at is not None
            assert (observed_at - requested_at).total_seconds() < 2
            assert run.completed_segments == counted(url, RESULTS, run_id)


def test_what_one_server_takes_in_and_deletes_is_there_and_gone_for_the_other(
    url: str, environment: dict[str, str], tmp_path: Path
) -> None:
    clip = footage.shots(2, 3, sound=False).path
    with (
        server(tmp_path / "one", environment) as one,
        server(tmp_path / "two", environment, one.key) as two,
        Client(address=one.grpc, api_key=one.key) as client,
        Client(address=two.grpc, api_key=one.key) as other,
    ):
        first, second = (
            one_client.import_jobs.wait(
                one_client.videos.upload(clip, title="same bytes").job_id, timeout=30
            ).video_ids[0]
            for one_client in (client, other)
        )
        blobs = tmp_path / "shared" / "blobs" / "blobs"
        assert len(list(blobs.glob("*/*"))) == 1
        client.videos.delete(second)
        until(lambda: counted(url, MEDIA) == 1 or None)
        assert other.videos.retrieve(first).title == "same bytes"
        other.videos.delete(first)
        until(lambda: (counted(url, MEDIA) == 0 and not list(blobs.glob("*/*"))) or None)


IN_HAND = "SELECT count(*) FROM run_media WHERE status = 'processing'"
CALLS = "SELECT count(*) FROM llm_calls WHERE run_id = %s"
RESULTS = "SELECT count(*) FROM run_segments WHERE run_id = %s AND status = 'completed'"
NEWEST = "SELECT max(sequence) FROM events WHERE run_id = %s"
MEDIA = "SELECT count(*) FROM media"
