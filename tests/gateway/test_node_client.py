"""A client in another language, with the contract's files alone, executes a run and watches it."""

import pytest

from tests.gateway.conftest import Front
from tests.gateway.node import run_node
from tests.gateway.stand_in import StandIn


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
