"""A whole server as its users start it: a process with its gateway over a folder of its own."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

READY = re.compile(r"REST on (?P<rest>\S+), gRPC on (?P<grpc>\S+)")
KEY = re.compile(r"sk_[\w-]+")
PATIENCE_SECONDS = 60.0

MEDIA = "media-root"
"""Folder in the data folder that `file://` URIs may name."""

SCRIPTS = {
    "default": {},
    "slow": {"latency_seconds": 0.3},
    "sluggish": {"latency_seconds": 1.0},
    "flaky": {"faults": [{"failure_code": "schema_invalid", "starts_from": 5, "attempts": [1]}]},
    "blocked": {"faults": [{"failure_code": "blocked", "starts_from": 5}]},
    "hopeless": {"faults": [{"failure_code": "schema_invalid"}]},
    "tired": {
        "latency_seconds": 0.3,
        "faults": [{"failure_code": "schema_invalid", "starts_from": 5, "attempts": [1]}],
    },
    "weary": {
        "latency_seconds": 0.3,
        "faults": [{"failure_code": "schema_invalid", "attempts": [1]}],
    },
    "denied": {"faults": [{"failure_code": "unauthenticated"}]},
}
"""What `canned:<name>` does: answers late or later; fails once from second 5 on, or is blocked
from there; fails always; fails once late from second 5 on, or everywhere; lacks its credentials."""


@dataclass(frozen=True, kw_only=True)
class Served:
    """A server that runs: `rest` is the address of the gateway, `key` one of scope admin."""

    rest: str
    grpc: str
    key: str
    data: Path
    process: "subprocess.Popen[str]"

    @property
    def api(self) -> str:
        """What a REST client takes as its base."""
        return f"{self.rest}/api/v2"

    def new_key(self, scope: str, owner: str | None = None) -> str:
        """Make another key, as an operator does."""
        argv = [sys.executable, "-m", "promptreel_server", "keys", "create"]
        argv += ["--name", "test", "--scope", scope, "--data", str(self.data)]
        if owner is not None:
            argv += ["--owner", owner]
        made = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60)
        return made.stdout.strip()


@contextmanager
def served(
    data: Path, *, environment: Mapping[str, str] | None = None, gateway: bool = True
) -> Iterator[Served]:
    """Start a server over a data folder and stop it at the end of the block."""
    process = start(data, environment=environment, gateway=gateway)
    try:
        yield announced(process, data)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
        if process.stdout is not None:
            process.stdout.close()


def start(
    data: Path,
    *,
    environment: Mapping[str, str] | None = None,
    gateway: bool = True,
    grpc_port: int = 0,
) -> "subprocess.Popen[str]":
    """Start a server; its output comes through the process's pipe. Port 0: one that is free."""
    data.mkdir(parents=True, exist_ok=True)
    scripts = data / "scripts.json"
    if not scripts.exists():
        scripts.write_text(json.dumps(SCRIPTS))
    argv = [sys.executable, "-m", "promptreel_server", "serve", "--data", str(data)]
    argv += ["--grpc-port", str(grpc_port), "--rest-port", "0"]
    if not gateway:
        argv.append("--no-gateway")
    (data / MEDIA).mkdir(exist_ok=True)
    own = {
        "PROMPTREEL_CANNED_SCRIPTS": str(scripts),
        "PROMPTREEL_DRAIN_SECONDS": "2",
        "PROMPTREEL_MEDIA_ROOTS": str(data / MEDIA),
    }
    with (data / "server.log").open("a") as log:
        return subprocess.Popen(
            argv,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**os.environ, **own, **(environment or {})},
            start_new_session=True,
        )


def announced(process: "subprocess.Popen[str]", data: Path) -> Served:
    """Read what a server prints when it is ready."""
    key_file = data / "admin.key"
    until = time.monotonic() + PATIENCE_SECONDS
    assert process.stdout is not None
    while time.monotonic() < until:
        line = process.stdout.readline()
        if not line:
            break
        if (found := KEY.search(line)) is not None:
            key_file.write_text(found[0])
        if "is ready" in line:
            ready = READY.search(line)
            return Served(
                rest=ready["rest"] if ready else "",
                grpc=ready["grpc"] if ready else line.rsplit("gRPC on ", 1)[1].strip(),
                key=key_file.read_text(),
                data=data,
                process=process,
            )
    process.kill()
    raise AssertionError(f"the server did not start:\n{(data / 'server.log').read_text()}")
