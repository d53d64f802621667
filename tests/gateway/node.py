"""A gRPC client in Node; its two packages are installed once into a cache outside the project."""

import fcntl
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("watch_run.cjs")
PACKAGES = ("@grpc/grpc-js@1.14.7", "@grpc/proto-loader@0.8.1")


def run_node(address: str, key: str, request: Mapping[str, object]) -> list[dict[str, Any]]:
    """The lines that the client printed; fails with what it said where it ended badly."""
    folders = f"{ROOT / 'proto'}:{ROOT / 'third_party'}"
    environment = {**os.environ, "NODE_PATH": str(node_modules())}
    done = subprocess.run(
        ["node", str(SCRIPT), address, key, folders, json.dumps(request)],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def node_modules() -> Path:
    """The folder to `require` from; skips the test where Node or its registry can't be had."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("there is no Node (node and npm) on this machine")
    folder = _cache() / "-".join(name.strip("@").replace("/", "-") for name in PACKAGES)
    folder.mkdir(parents=True, exist_ok=True)
    done = folder / "installed"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # test processes run side by side
        if not done.exists():
            _install(folder)
            done.touch()
    return folder / "node_modules"


def _cache() -> Path:
    configured = os.environ.get("XDG_CACHE_HOME")
    home = Path(configured) if configured else Path.home() / ".cache"
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError:
        home = Path(tempfile.gettempdir())
    return home / "promptreel-tests"


def _install(folder: Path) -> None:
    words = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(folder), *PACKAGES]
    try:
        subprocess.run(words, check=True, capture_output=True, timeout=100, text=True)
    except subprocess.TimeoutExpired:
        pytest.skip("npm did not bring the gRPC packages within 100 s")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"npm can't bring the gRPC packages: {error.stderr.strip()[-300:]}")
