"""Metrics for Prometheus, on a port that is asked for."""

import socket
import time
from pathlib import Path

import httpx
import pytest

from promptreel_client import Client, PromptRun
from tests import footage
from tests.served import served

SCHEMA = {"type": "object", "properties": {"summary": {"type": "string"}}}


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def started(client: Client, model: str) -> PromptRun:
    job = client.videos.upload(file=footage.shots(3, sound=False).path, title="clip")
    prompt = client.prompts.create(
        name="Scenes", prompt_text="Say what happens here.", json_schema=SCHEMA
    )
    return client.prompt_runs.execute(
        prompt_id=prompt.prompt_id,
        target={"type": "videos", "video_ids": list(job.video_ids)},
        video_segmentation_type="fixed",
        video_segment_duration=1,
        processing_model=model,
        enable_transcription=False,
        enable_image_embedding=False,
    )


def test_metrics_tell_of_lanes_watches_and_stalled_runs(tmp_path: Path) -> None:
    port = free_port()
    environment = {"PROMPTREEL_METRICS_PORT": str(port), "PROMPTREEL_STALLED_SECONDS": "1"}
    scripts = tmp_path / "scripts.json"
    scripts.write_text('{"asleep": {"latency_seconds": 3600}}')
    environment["PROMPTREEL_CANNED_SCRIPTS"] = str(scripts)
    with (
        served(tmp_path / "data", environment=environment, gateway=False) as serving,
        Client(address=serving.grpc, api_key=serving.key) as client,
    ):
        run = started(client, "canned:asleep")
        until = time.monotonic() + 30
        while not client.prompt_runs.retrieve(run.run_id).processing_warning:
            assert time.monotonic() < until
            time.sleep(0.1)
        told = httpx.get(f"http://127.0.0.1:{port}/metrics").text
        client.prompt_runs.cancel(run.run_id)
    assert "promptreel_stalled_runs 1.0" in told
    assert "promptreel_media_in_hand 1.0" in told
    assert "promptreel_open_watches" in told
    assert 'promptreel_lane_calls_in_flight{model="canned:asleep"} 3.0' in told
    assert "process_resident_memory_bytes" in told


def test_without_a_port_there_are_none(tmp_path: Path) -> None:
    with served(tmp_path / "data", gateway=False) as serving:
        host, _, port = serving.grpc.rpartition(":")
        with pytest.raises(httpx.HTTPError):
            httpx.get(f"http://{host}:{port}/metrics")
