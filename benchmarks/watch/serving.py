"""A whole server with its gateway over a folder of its own, and runs to watch."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from promptreel_client import Client

ROOT = Path(__file__).parents[2]
MEDIA_ITEMS = 10
_READY = re.compile(r"REST on (?P<rest>\S+), gRPC on (?P<grpc>\S+)")
_KEY = re.compile(r"sk_[\w-]+")
_SCHEMA = {"type": "object", "properties": {"summary": {"type": "string"}}, "required": ["summary"]}


@dataclass(frozen=True, kw_only=True)
class Served:
    """A server that runs: its addresses, a key of scope admin, its two processes."""

    grpc: str
    rest: str
    key: str
    server: psutil.Process

    @property
    def envoy(self) -> psutil.Process:
        """The gateway's process."""
        return self.server.children()[0]


@contextmanager
def served(folder: Path, latency: float) -> Iterator[Served]:
    """Run a server whose model answers after `latency` seconds, or, as `asleep`, after hours."""
    scripts = folder / "scripts.json"
    sleepers = {"late": {"latency_seconds": latency}, "asleep": {"latency_seconds": 36_000.0}}
    scripts.write_text(json.dumps(sleepers))
    argv = [sys.executable, "-m", "promptreel_server", "serve", "--data", str(folder / "data")]
    own = {
        "PROMPTREEL_CANNED_SCRIPTS": str(scripts),
        "PROMPTREEL_CALLS_AT_FIRST": "64",
        "PROMPTREEL_REQUESTS_PER_SECOND": "1000000",
        "PROMPTREEL_REQUEST_BURST": "1000000",
        "PROMPTREEL_DRAIN_SECONDS": "1",
    }
    with (
        (folder / "server.log").open("w") as log,
        subprocess.Popen(
            [*argv, "--grpc-port", "0", "--rest-port", "0"],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**os.environ, **own},
        ) as process,
    ):
        try:
            yield _announced(process)
        finally:
            process.send_signal(signal.SIGTERM)


def _announced(process: "subprocess.Popen[str]") -> Served:
    key = ""
    for line in process.stdout or ():
        if (found := _KEY.search(line)) is not None:
            key = found[0]
        if (ready := _READY.search(line)) is not None:
            server = psutil.Process(process.pid)
            return Served(grpc=ready["grpc"], rest=ready["rest"], key=key, server=server)
    raise RuntimeError("the server ended before it served")


def upload(client: Client, folder: Path, segments: int) -> list[str]:
    """Upload silent sound, enough for so many segments of a second; answers the items' ids."""
    ids: list[str] = []
    for number in range(MEDIA_ITEMS):
        path = folder / f"silence{number}.wav"
        with wave.open(str(path), "wb") as sound:
            sound.setparams((1, 1, 8000, 0, "NONE", ""))
            sound.writeframes(bytes([128, 127 - number]) + b"\x80" * (8000 * _share(segments) - 2))
        job = client.videos.upload(path, title=path.name)
        while not job.video_ids:
            time.sleep(0.05)
            job = client.import_jobs.retrieve(job.job_id)
        ids += job.video_ids
    return ids


def _share(segments: int) -> int:
    return max(1, segments // MEDIA_ITEMS)


def execute(client: Client, video_ids: list[str], model: str) -> str:
    """Set a run going over media items, in segments of a second; answers its id."""
    prompt = client.prompts.create(
        name="watched", prompt_text="Say what is to be heard here.", json_schema=_SCHEMA
    )
    run = client.prompt_runs.execute(
        prompt_id=prompt.prompt_id,
        target={"type": "videos", "video_ids": video_ids},
        audio_segmentation_type="fixed",
        audio_segment_duration=1,
        processing_model=f"canned:{model}",
        enable_transcription=False,
        enable_image_embedding=False,
        reuse_llm_calls=False,
    )
    return run.run_id
