"""A server of the demo's own: started as a user would start one, in a folder that is gone after."""

import json
import queue
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from time import monotonic
from typing import IO

from promptreel_client.cli.failing import CommandFailed

_COMMAND = (sys.executable, "-m", "promptreel_client.cli")
_READY_WITHIN = 60.0
_GRACE = 20.0
"""Seconds that a server which was asked to stop has to drain."""

_REST = re.compile(r"https?://[^\s,;]+")
_GRPC = re.compile(r"(?<![\w/.:])(?:[\w.-]+|\[[0-9a-f:]+\]):\d+(?![\w/])")


@dataclass(frozen=True, kw_only=True)
class DemoServer:
    """A server that is up: where it is and the key to it."""

    address: str
    rest: str
    api_key: str
    log: Path


@contextmanager
def demo_server() -> Iterator[DemoServer]:
    """Run a server with a gateway on free ports and a temporary data folder, until the block ends.

    Raises CommandFailed, with what the server said, where it does not come up.
    """
    folder = Path(tempfile.mkdtemp(prefix="promptreel-demo-"))
    try:
        data, log = folder / "data", folder / "server.log"
        named = ("--name", "demo", "--scope", "admin")
        api_key = asked("keys", "create", "--data", str(data), *named).strip()
        with log.open("wb") as written, _started(data, written) as server:
            line = _first_line(server, log)
            address, rest = addresses(line)
            yield DemoServer(address=address, rest=rest, api_key=api_key, log=log)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def addresses(line: str) -> tuple[str, str]:
    """Read the gRPC address and the REST address out of the line that `promptreel serve` prints.

    Raises CommandFailed where it names none.
    """
    rest = _REST.search(line)
    grpc = _GRPC.search(_REST.sub(" ", line))
    if rest is None or grpc is None:
        raise CommandFailed(f"the server did not say where it is: {line.strip()}")
    return grpc.group(), rest.group().rstrip("/.")


def asked(*arguments: str) -> str:
    """Run another command of ours and answer its stdout; raises CommandFailed with its stderr."""
    done = subprocess.run(  # noqa: S603 our own command
        [*_COMMAND, *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        why = said[-1].removeprefix("promptreel: ") if said else f"exit code {done.returncode}"
        raise CommandFailed(f"`promptreel {' '.join(arguments[:2])}` failed: {why}")
    return done.stdout


def pull_models() -> None:
    """Fetch the offline models that are not there yet, telling about it; needs a network then.

    Raises CommandFailed where one can't be had.
    """
    rows = json.loads(asked("models", "list", "--json"))
    missing = [
        row["name"] for row in rows if row["default"] and row["state"] in ("missing", "partial")
    ]
    if not missing:
        return
    done = subprocess.run([*_COMMAND, "models", "pull", *missing], check=False)  # noqa: S603 our own command
    if done.returncode != 0:
        raise CommandFailed("the offline models are not there: run `promptreel models pull` first")


@contextmanager
def _started(data: Path, log: IO[bytes]) -> Iterator["subprocess.Popen[str]"]:
    """Start the server apart from our terminal, so that Ctrl-C reaches it through us alone."""
    ports = ("--grpc-port", "0", "--rest-port", "0")
    server = subprocess.Popen(  # noqa: S603 our own command
        [*_COMMAND, "serve", "--data", str(data), *ports],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        start_new_session=True,
    )
    try:
        yield server
    finally:
        _stop(server)


def _stop(server: "subprocess.Popen[str]") -> None:
    server.terminate()
    try:
        server.wait(_GRACE)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        server.kill()
        server.wait()
    finally:
        if server.stdout is not None:
            server.stdout.close()


def _first_line(server: "subprocess.Popen[str]", log: Path) -> str:
    """Wait for the line with both addresses; what else the server prints is read and dropped."""
    lines: queue.Queue[str] = queue.Queue()
    Thread(target=_drain, args=(server, lines), daemon=True).start()
    end = monotonic() + _READY_WITHIN
    while (left := end - monotonic()) > 0:
        try:
            line = lines.get(timeout=min(left, 0.2))
        except queue.Empty:
            if server.poll() is not None and lines.empty():
                raise CommandFailed(f"the server ended at once: {_last_line(log)}") from None
            continue
        if _REST.search(line):
            return line
    raise CommandFailed(f"the server was not up after {_READY_WITHIN:.0f} s: {_last_line(log)}")


def _drain(server: "subprocess.Popen[str]", lines: "queue.Queue[str]") -> None:
    if server.stdout is not None:
        for line in server.stdout:
            lines.put(line)


def _last_line(log: Path) -> str:
    said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return said[-1] if said else "it said nothing"
