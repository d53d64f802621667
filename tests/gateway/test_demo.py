"""The demo's server against the real one, and the whole demo where its models are."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from promptreel_client import Client
from promptreel_client.cli.demo_server import demo_server

COMMAND = (sys.executable, "-m", "promptreel_client.cli")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders go for the length of a test."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def children() -> set[int]:
    """Every process below this one."""
    return {process.pid for process in psutil.Process().children(recursive=True)}


def test_a_demo_server_answers_and_leaves_nothing_behind(folder: Path) -> None:
    before = children()
    with demo_server() as server, Client(server.address, api_key=server.api_key) as client:
        index = client.indexes.create("Demo")
        assert client.indexes.retrieve(index.index_id).name == "Demo"
        assert children() > before

    assert not list(folder.glob("promptreel-demo-*"))
    assert children() == before


def test_a_demo_server_is_stopped_when_its_block_is_interrupted(folder: Path) -> None:
    before = children()
    with pytest.raises(KeyboardInterrupt), demo_server():
        raise KeyboardInterrupt

    assert not list(folder.glob("promptreel-demo-*"))
    assert children() == before


@pytest.mark.models
@pytest.mark.usefixtures("models_pulled")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_demo_stops_what_it_started_when_it_is_stopped(folder: Path, number: int) -> None:
    shown = folder / "shown"
    with shown.open("w") as written:
        demo = subprocess.Popen([*COMMAND, "demo"], stdout=written, stderr=written)
    try:
        wait_for(shown, "Running prompt")
        started = psutil.Process(demo.pid).children(recursive=True)
        assert started
        demo.send_signal(number)

        assert demo.wait(60) == 130
        assert not [process for process in started if process.is_running()]
        assert not list(folder.glob("promptreel-demo-*"))
        assert "Traceback" not in shown.read_text()
    finally:
        with suppress(ProcessLookupError):
            os.kill(demo.pid, signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.models
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("models_pulled")
def test_the_demo_shows_segments_and_a_synthesis(folder: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "demo"], capture_output=True, text=True, timeout=880, check=False
    )

    assert done.returncode == 0, done.stderr
    assert "Jane Austen" in done.stdout
    assert "Synthesis" in done.stdout
    assert "Where to look next" in done.stdout
    assert not list(folder.glob("promptreel-demo-*"))


def wait_for(file: Path, words: str) -> None:
    """Wait until a file says something."""
    end = time.monotonic() + 90
    while words not in file.read_text():
        assert time.monotonic() < end, file.read_text()
        time.sleep(0.1)
