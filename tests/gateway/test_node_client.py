"""A client in another language, with the contract's files alone, executes a run and watches it."""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.gateway.conftest import Front
from tests.gateway.node import node_modules
from tests.gateway.stand_in import StandIn

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("watch_run.cjs")


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


@pytest.mark.parametrize("through", ["server", "gateway"])
def test_node_executes_a_run_and_watches_it_to_its_end(
    front: Front, stand_in: StandIn, through: str
) -> None:
    port = stand_in.port if through == "server" else front.port
    request = {"prompt_id": "run_node", "target": {"type": "index", "index_id": "idx_1"}}
    executed, *updates = run_node(f"127.0.0.1:{port}", "sk_node", request)
    assert executed["run"] == {"run_id": "run_node", "status": "pending"}
    assert [update["update"] for update in updates] == ["snapshot", "end"]
    assert updates[0]["snapshot"]["status"] == "processing"
    assert updates[-1]["end"] == {"status": "completed", "reason": "run_ended"}
    assert stand_in.metadata["run_node"]["x-api-key"] == "sk_node"
