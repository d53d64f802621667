"""The command against a whole server: what a script sees of each step from index to retry."""

import fcntl
import io
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from promptreel_client.cli.app import main
from promptreel_client.cli.exits import Exit
from tests.footage import drawn, shots
from tests.served import Served

COMMAND = (sys.executable, "-m", "promptreel_client.cli")
CUT = ("--segmentation", "fixed", "--segment-seconds", "2")
PLAIN = ("--no-transcription", "--no-image-embedding")


@dataclass(frozen=True, kw_only=True)
class Done:
    """What a command left behind."""

    returncode: int
    stdout: str
    stderr: str


class Shell:
    """A shell in which the server's address and key are set."""

    def run(self, *arguments: str) -> Done:
        """Run a command to its end, in this process: a new one takes ten times as long."""
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
            main(list(arguments))
        code = int(ended.value.code or 0)
        return Done(returncode=code, stdout=out.getvalue(), stderr=err.getvalue())

    def start(self, *arguments: str, **pipes: Any) -> "subprocess.Popen[str]":
        """Start a command in a process of its own."""
        return subprocess.Popen([*COMMAND, *arguments], text=True, **pipes)

    def json(self, *arguments: str) -> Any:
        """Run a command that succeeds and answers JSON, alone on its stdout."""
        done = self.run(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def shell(serving: Served) -> Iterator[Shell]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PROMPTREEL_ADDRESS", serving.grpc)
        patch.setenv("PROMPTREEL_API_KEY", serving.key)
        yield Shell()


@pytest.fixture(scope="module")
def index(shell: Shell) -> str:
    """An index with one clip of ten seconds."""
    clip = shots(5.0, 5.0)
    index_id = str(shell.json("indexes", "create", "Clips")["index_id"])
    [job] = shell.json("upload", str(clip.path), "--index", index_id, "--title", "Ten seconds")
    assert job["status"] == "completed"
    return index_id


@pytest.fixture(scope="module")
def long_index(shell: Shell) -> str:
    """An index with a clip long enough to be interrupted in."""
    source = "testsrc2=size=64x36:rate=2:duration=600"
    path = drawn(["-f", "lavfi", "-i", source], "mp4")
    index_id = str(shell.json("indexes", "create", "Long")["index_id"])
    assert shell.run("upload", str(path), "--index", index_id).returncode == 0
    return index_id


@pytest.fixture(scope="module")
def prompt(shell: Shell, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("schemas")
    fields = {"type": "object", "properties": {"summary": {"type": "string"}}}
    schema, level = folder / "fields.json", folder / "level.json"
    schema.write_text(json.dumps(fields))
    level.write_text(json.dumps({"instructions_text": "Sum it all up.", "json_schema": fields}))
    made = shell.json(
        *("prompts", "create", "--name", "Summary", "--text", "What happens in this stretch?"),
        *("--schema", str(schema), "--video-level", str(level)),
    )
    return str(made["prompt_id"])


def lines_of(done: Done) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def started(shell: Shell, prompt: str, index: str, model: str) -> str:
    """Execute a run and don't wait for it."""
    accepted = shell.json(
        *("run", prompt, "--index", index, "--model", model, "--no-watch"), *CUT, *PLAIN
    )
    return str(accepted["run_id"])


def test_a_watched_run_ends_with_0_and_its_results_are_there(
    shell: Shell, prompt: str, index: str
) -> None:
    done = shell.run("run", prompt, "--index", index, "--model", "canned", *CUT, *PLAIN, "--json")

    assert done.returncode == Exit.DONE, done.stderr
    updates = lines_of(done)
    run_id = updates[0]["snapshot"]["run_id"]
    assert updates[-1]["end"] == {"status": "completed", "reason": "run_ended"}
    [video] = shell.json("results", run_id)
    spans = [(one["start_time"], one["end_time"]) for one in video["results"]]
    assert spans == [(0, 2), (2, 4), (4, 6), (6, 8), (8, 10)]
    assert video["video_result"]["status"] == "completed"


def test_watching_again_tells_the_same_events(shell: Shell, prompt: str, index: str) -> None:
    run_id = started(shell, prompt, index, "canned:slow")
    first = lines_of(shell.run("watch", run_id, "--json"))
    again = lines_of(shell.run("watch", run_id, "--json"))

    def events(updates: list[dict[str, Any]]) -> list[str]:
        return [update["event"]["event_id"] for update in updates if "event" in update]

    assert len(events(first)) > 5
    assert events(first) == events(again)


def test_plain_lines_tell_of_the_media_item_and_the_end(
    shell: Shell, prompt: str, index: str
) -> None:
    done = shell.run("run", prompt, "--index", index, "--model", "canned", *CUT, *PLAIN)

    assert done.returncode == Exit.DONE
    lines = done.stdout.splitlines()
    assert "Ten seconds: 5 segments" in lines
    assert "Ten seconds: 5 of 5 segments" in lines
    assert "Ten seconds: completed" in lines
    assert lines[-1].startswith("5 of 5 segments of 1 media items completed")
    assert "promptreel results run_" in done.stderr


def test_failures_exit_with_3_and_a_retry_mends_them(shell: Shell, prompt: str, index: str) -> None:
    done = shell.run(
        "run", prompt, "--index", index, "--model", "canned:blocked", *CUT, *PLAIN, "--json"
    )
    assert done.returncode == Exit.WITH_FAILURES, done.stderr
    run_id = lines_of(done)[0]["snapshot"]["run_id"]

    manifest = shell.json("failed", run_id)
    assert manifest["failed_segments"] == 2
    assert {one["failure_code"] for one in manifest["videos"][0]["segments"]} == {"blocked"}
    assert "blocked" in shell.run("failed", run_id).stdout

    without_force = shell.json("retry", run_id)
    assert [one["reason"] for one in without_force["skipped"]] == ["not_retryable"] * 2
    forced = shell.json("retry", run_id, "--force", "--code", "blocked")
    assert forced["retry_count"] == 2


def test_one_segment_that_did_not_fail_is_refused_with_a_request_id(
    shell: Shell, prompt: str, index: str
) -> None:
    run_id = started(shell, prompt, index, "canned")
    assert shell.run("watch", run_id).returncode == Exit.DONE
    [video] = shell.json("results", run_id)
    segment = video["results"][0]

    done = shell.run("retry", run_id, segment["video_id"], segment["segment_id"])

    assert done.returncode == Exit.ERROR
    assert done.stdout == ""
    [sentence] = done.stderr.splitlines()
    assert sentence.startswith("promptreel: ")
    assert "(request " in sentence


def test_a_cancelled_run_exits_with_1(shell: Shell, prompt: str, long_index: str) -> None:
    run_id = started(shell, prompt, long_index, "canned:slow")
    assert shell.json("cancel", run_id)["stop_state"]["requested_at"] is not None

    assert shell.run("watch", run_id).returncode == Exit.ERROR
    assert shell.json("runs", run_id)["status"] == "cancelled"


def test_llm_calls_are_listed_and_shown_whole(shell: Shell, prompt: str, index: str) -> None:
    run_id = started(shell, prompt, index, "canned")
    assert shell.run("watch", run_id).returncode == Exit.DONE
    [first, *_] = shell.json("llm-calls", run_id)

    of_segment = shell.json("llm-calls", run_id, "--segment", first["segment_id"])
    assert [call["segment_id"] for call in of_segment] == [first["segment_id"]]
    whole = shell.run("llm-calls", run_id, "--segment", first["segment_id"], "--full").stdout
    assert first["response_text"].strip() in whole


def test_an_estimate_starts_nothing(shell: Shell, prompt: str, index: str) -> None:
    before = len(shell.json("runs", "--limit", "0"))
    estimate = shell.json(
        "run", prompt, "--index", index, "--model", "canned", *CUT, *PLAIN, "--estimate"
    )

    assert estimate["sufficient_balance"] is True
    assert estimate["breakdown"]
    assert len(shell.json("runs", "--limit", "0")) == before


def test_a_file_that_is_no_media_is_refused_with_a_reason(shell: Shell, tmp_path: Path) -> None:
    text = tmp_path / "notes.mp4"
    text.write_text("not a video")

    done = shell.run("upload", str(text))

    assert done.returncode == Exit.ERROR
    assert "notes.mp4" in done.stderr


def test_an_unknown_run_is_one_sentence(shell: Shell) -> None:
    done = shell.run("runs", "run_01M81GGR2V8DC3HE2K0W4ZADG9")

    assert (done.returncode, done.stdout) == (Exit.ERROR, "")
    assert len(done.stderr.splitlines()) == 1


def test_a_wrong_key_is_said(shell: Shell) -> None:
    done = shell.run("runs", "--api-key", "sk_wrong")

    assert done.returncode == Exit.ERROR
    assert "key" in done.stderr


def test_ctrl_c_ends_the_watch_and_not_the_run(shell: Shell, prompt: str, long_index: str) -> None:
    run_id = started(shell, prompt, long_index, "canned:slow")
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    watching = shell.start("watch", run_id, **pipes)
    assert watching.stdout is not None
    assert watching.stdout.readline()
    watching.send_signal(signal.SIGINT)
    _, said = watching.communicate(timeout=30)

    assert watching.returncode == Exit.INTERRUPTED
    assert f"promptreel cancel {run_id}" in said
    assert "Traceback" not in said
    assert shell.json("runs", run_id)["status"] in ("pending", "processing", "completed")
    shell.run("cancel", run_id)


def test_on_a_terminal_bars_are_drawn(shell: Shell, prompt: str, index: str) -> None:
    run_id = started(shell, prompt, index, "canned:slow")
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
    terminal = {"stdin": subprocess.DEVNULL, "stdout": theirs, "stderr": theirs}
    watching = shell.start("watch", run_id, **terminal)
    os.close(theirs)
    shown = b"".join(read_all(ours)).decode()

    assert watching.wait(30) == Exit.DONE
    assert "Ten seconds" in shown
    assert "━━━" in shown
    assert "5 of 5 segments" in shown


def read_all(terminal: int) -> Iterator[bytes]:
    """Read what a terminal shows until nobody writes to it any more."""
    end = time.monotonic() + 60
    try:
        while time.monotonic() < end:
            if select.select([terminal], [], [], 0.5)[0]:
                try:
                    yield os.read(terminal, 65536)
                except OSError:  # EIO: the last writer is gone
                    return
    finally:
        os.close(terminal)
