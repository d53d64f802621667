"""The gateway starts fast, says why it can't, comes back when killed, drains, and dies with us."""

import asyncio
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

import grpc
import httpx
import psutil
import pytest

from promptreel.v2 import prompt_run_pb2_grpc
from promptreel.v2.prompt_run_pb2 import GetPromptRunRequest
from promptreel.v2.run_pb2 import PromptRun
from promptreel_server import errors
from promptreel_server.gateway import Gateway, find_envoy, gateway
from tests.gateway.conftest import make_gateway
from tests.gateway.loop_thread import LoopThread
from tests.gateway.patience import eventually
from tests.gateway.refusals import refusal_of
from tests.gateway.stand_in import Context, StandIn

ROOT = Path(__file__).parents[2]
BUSY_MACHINE_TRIES = 5
PARENT = """
import asyncio, sys
from pathlib import Path
from tests.gateway.conftest import make_gateway

async def main():
    gateway = await make_gateway(int(sys.argv[1]), Path(sys.argv[2]))
    print(await gateway.start(), gateway.pid, flush=True)
    await gateway.supervise()

asyncio.run(main())
"""


class Running:
    """A started and supervised gateway of a test's own."""

    def __init__(self, gateway: Gateway, port: int, thread: LoopThread) -> None:
        self.gateway = gateway
        self.port = port
        self.thread = thread

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{self.port}{path}", timeout=10)

    def status(self, path: str) -> int | None:
        """None where nobody listens."""
        try:
            return self.get(path).status_code
        except httpx.TransportError:
            return None

    @property
    def process(self) -> psutil.Process:
        assert self.gateway.pid
        return psutil.Process(self.gateway.pid)


@contextmanager
def running(thread: LoopThread, grpc_port: int, work_dir: Path) -> Iterator[Running]:
    gateway = thread.run(make_gateway(grpc_port, work_dir))
    port = thread.run(gateway.start())
    watch: Future[None] = asyncio.run_coroutine_threadsafe(gateway.supervise(), thread.loop)
    try:
        yield Running(gateway, port, thread)
    finally:
        thread.run(gateway.drain(0))
        watch.result(10)


def test_it_is_healthy_in_under_a_second(
    thread: LoopThread, stand_in: StandIn, tmp_path: Path
) -> None:
    times = []
    for attempt in range(BUSY_MACHINE_TRIES):
        began = time.monotonic()
        with running(thread, stand_in.port, tmp_path / str(attempt)) as one:
            times.append(time.monotonic() - began)
            assert one.status("/healthz") == 200
        if times[-1] < 1.0:
            return
    pytest.fail(f"seconds to health: {times}")


def test_a_taken_port_is_an_error_that_names_it_and_leaves_nothing_running(
    thread: LoopThread, stand_in: StandIn, tmp_path: Path
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        gateway = thread.run(make_gateway(stand_in.port, tmp_path, port))
        with pytest.raises(errors.PortTaken, match=f"127.0.0.1:{port}.*--rest-port"):
            thread.run(gateway.start())
        assert gateway.pid
        assert not psutil.pid_exists(gateway.pid)


def test_a_second_gateway_on_the_same_port_is_refused(
    thread: LoopThread, stand_in: StandIn, tmp_path: Path
) -> None:
    with running(thread, stand_in.port, tmp_path / "first") as first:
        second = thread.run(make_gateway(stand_in.port, tmp_path / "second", first.port))
        with pytest.raises(errors.PortTaken):
            thread.run(second.start())
        assert first.status("/healthz") == 200


def test_without_a_server_it_does_not_come_up_and_says_so(
    thread: LoopThread, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway, "START_SECONDS", 1.0)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        alone = thread.run(make_gateway(nobody.getsockname()[1], tmp_path))
        with pytest.raises(errors.Unavailable, match="not SERVING"):
            thread.run(alone.start())
    assert alone.pid
    assert not psutil.pid_exists(alone.pid)


def test_a_folder_that_can_not_be_written_is_told_as_such(
    thread: LoopThread, stand_in: StandIn, tmp_path: Path
) -> None:
    folder = tmp_path / "gateway"
    folder.write_text("in its place")
    broken = thread.run(make_gateway(stand_in.port, folder))
    with pytest.raises(errors.Unavailable, match="gateway can't be written"):
        thread.run(broken.start())


def test_a_configuration_that_envoy_refuses_is_told_with_its_reason(
    thread: LoopThread, stand_in: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoil(addresses: object, folder: Path) -> Path:
        path = folder / "envoy.yaml"
        path.write_text("nonsense: 1")
        return path

    monkeypatch.setattr(gateway, "render", spoil)
    broken = thread.run(make_gateway(stand_in.port, tmp_path))
    with pytest.raises(errors.Unavailable, match=r"ended at start.*nonsense"):
        thread.run(broken.start())


def test_a_killed_envoy_is_back_on_its_port_within_a_second(
    thread: LoopThread, stand_in: StandIn, tmp_path: Path
) -> None:
    times = []
    with running(thread, stand_in.port, tmp_path) as one:
        for _ in range(BUSY_MACHINE_TRIES):
            killed = one.process
            killed.kill()
            killed.wait(5)
            times.append(eventually(lambda: one.status("/healthz") == 200))
            assert one.gateway.pid != killed.pid
            if times[-1] < 1.0:
                return
    pytest.fail(f"seconds until it was back: {times}")


def test_envoy_dies_with_a_server_killed_without_warning(stand_in: StandIn, tmp_path: Path) -> None:
    words = [sys.executable, "-c", PARENT, str(stand_in.port), str(tmp_path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=ROOT) as parent:
        assert parent.stdout
        _, pid = map(int, parent.stdout.readline().split())
        envoy = psutil.Process(pid)
        parent.send_signal(signal.SIGKILL)
    eventually(lambda: not envoy.is_running() or envoy.status() == "zombie")


def test_health_follows_the_server_at_once(
    thread: LoopThread, stand_in: StandIn, tmp_path: Path
) -> None:
    with running(thread, stand_in.port, tmp_path) as one:
        thread.run(stand_in.serving(False))
        try:
            answer = one.get("/healthz")
            assert answer.status_code == 503
            assert answer.headers["retry-after"] == "1"
            assert refusal_of(answer)["code"] == "unavailable"
        finally:
            thread.run(stand_in.serving(True))
        answer = one.get("/healthz")
        assert answer.status_code == 200
        assert answer.json() == {"status": "serving"}


def test_a_server_that_is_gone_is_503_until_it_is_back(thread: LoopThread, tmp_path: Path) -> None:
    async def make() -> StandIn:
        return StandIn()

    server = thread.run(make())
    thread.run(server.start())
    with running(thread, server.port, tmp_path) as one:
        thread.run(server.stop())
        for path in ("/api/v2/prompt-runs/run_1", "/healthz"):
            answer = one.get(path)
            assert answer.status_code == 503
            assert answer.headers["retry-after"] == "1"
            assert refusal_of(answer)["code"] == "unavailable"
        with grpc.insecure_channel(f"127.0.0.1:{one.port}") as channel:
            stub = prompt_run_pb2_grpc.PromptRunServiceStub(channel)
            with pytest.raises(grpc.RpcError) as caught:
                stub.GetPromptRun(GetPromptRunRequest(run_id="run_1"))
        assert isinstance(caught.value, grpc.Call)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        again = thread.run(make())
        thread.run(again.start(server.port))
        eventually(lambda: one.status("/api/v2/prompt-runs/run_1") == 200)
        thread.run(again.stop())


def test_draining_lets_the_call_in_hand_finish_and_fails_health_meanwhile(
    thread: LoopThread, stand_in: StandIn, tmp_path: Path
) -> None:
    async def take_time(context: Context) -> PromptRun:
        await asyncio.sleep(1.0)
        return PromptRun(run_id="run_long")

    stand_in.scripts["run_long"] = take_time
    with running(thread, stand_in.port, tmp_path) as one:
        call = thread.loop.run_in_executor(None, one.get, "/api/v2/prompt-runs/run_long")
        eventually(lambda: stand_in.calls["GetPromptRun run_long"] == 1)
        drain = asyncio.run_coroutine_threadsafe(one.gateway.drain(5), thread.loop)
        eventually(lambda: one.status("/healthz") == 503)
        drain.result(10)
        assert call.result().status_code == 200
        assert one.status("/healthz") is None


def test_draining_ends_after_its_grace_whatever_is_open(
    thread: LoopThread, stand_in: StandIn, tmp_path: Path
) -> None:
    async def hang(context: Context) -> PromptRun:
        await asyncio.sleep(60)
        return PromptRun()

    stand_in.scripts["run_hang"] = hang
    with running(thread, stand_in.port, tmp_path) as one:
        call = thread.loop.run_in_executor(None, one.status, "/api/v2/prompt-runs/run_hang")
        eventually(lambda: stand_in.calls["GetPromptRun run_hang"] == 1)
        began = time.monotonic()
        thread.run(one.gateway.drain(0.5))
        assert time.monotonic() - began < 4
        eventually(call.done)


def test_the_public_port_is_the_only_one_and_the_admin_socket_is_private(
    thread: LoopThread, stand_in: StandIn, tmp_path: Path
) -> None:
    work_dir = tmp_path / "work"
    with running(thread, stand_in.port, work_dir) as one:
        connections = one.process.net_connections(kind="inet")
        assert [c.laddr.port for c in connections if c.status == "LISTEN"] == [one.port]
        assert work_dir.stat().st_mode & 0o077 == 0
        assert (work_dir / "envoy.sock").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("name", ["x" * 200, "a \"b' ${c} é: - {d}"], ids=["long", "odd"])
def test_any_work_folder_will_do(
    thread: LoopThread, stand_in: StandIn, tmp_path: Path, name: str
) -> None:
    with running(thread, stand_in.port, tmp_path / name) as one:
        assert one.status("/api/v2/prompt-runs/run_1") == 200


def test_ordinary_calls_leave_no_word_in_the_log_and_failures_one_line_without_the_query(
    thread: LoopThread, stand_in: StandIn, tmp_path: Path
) -> None:
    async def crash(context: Context) -> PromptRun:
        raise RuntimeError

    stand_in.scripts["run_logged"] = crash
    with running(thread, stand_in.port, tmp_path) as one:
        for path in ("/healthz", "/api/v2/prompt-runs/run_1", "/nope", "/api/v2/prompt-runs?a=1"):
            one.get(path)
        body = b"x" * (3 << 20)
        httpx.post(f"http://127.0.0.1:{one.port}/api/v2/prompt-runs/execute", content=body)
        log = tmp_path / "envoy.log"
        assert log.read_text() == ""
        one.get("/api/v2/prompt-runs/run_logged")
        eventually(lambda: "/api/v2/prompt-runs/run_logged" in log.read_text())
        one.get("/api/v2/prompt-runs/run_logged?cursor=secret")
    assert "secret" not in log.read_text()


def test_it_takes_names_for_hosts(thread: LoopThread, stand_in: StandIn, tmp_path: Path) -> None:
    async def make() -> Gateway:
        return Gateway(
            envoy=find_envoy(None),
            rest_host="localhost",
            rest_port=0,
            grpc_host="0.0.0.0",
            grpc_port=stand_in.port,
            work_dir=tmp_path,
            log_path=tmp_path / "elsewhere.log",
        )

    named = thread.run(make())
    assert thread.run(named.start()) > 0
    thread.run(named.drain(0))
    assert (tmp_path / "elsewhere.log").exists()


def test_a_log_grown_long_is_put_aside_at_start(
    thread: LoopThread, stand_in: StandIn, tmp_path: Path
) -> None:
    log = tmp_path / "envoy.log"
    log.write_bytes(b"x" * (gateway.LONGEST_LOG + 1))
    with running(thread, stand_in.port, tmp_path):
        assert log.stat().st_size < 10_000
    assert (tmp_path / "envoy.log.1").stat().st_size > gateway.LONGEST_LOG
