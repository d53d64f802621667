"""What one GET of a run costs: over gRPC, over REST through Envoy, and from a FastAPI twin.

Run from the project's folder: `python -m benchmarks.api [--rounds 7] [--calls 2000]`. The lanes
take turns, so that what else the machine does falls on all of them; medians of the rounds count.
CPU is user + system time of the serving processes.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import grpc
import psutil
import uvloop
from rich.console import Console
from rich.table import Table

from benchmarks.api.load import CALLERS, Call, fire, native, rest
from benchmarks.api.seed import seed
from promptreel_server.gateway import Gateway, find_envoy

ROOT = Path(__file__).parents[2]
WARM_UP = 500
MOST_TIMES_FASTAPI = 2.5


@dataclass(frozen=True, kw_only=True)
class Lane:
    """One way to make the call; of `processes` the last is Envoy where there are two."""

    name: str
    make_call: Callable[[], Awaitable[Call]]
    processes: tuple[psutil.Process, ...]


@dataclass(frozen=True, kw_only=True)
class Round:
    """What one round of one lane showed: microseconds of CPU a call, by process."""

    calls_per_second: float
    cpu: tuple[float, ...]


async def measure(lane: Lane, count: int) -> Round:
    """Make `count` calls."""
    before = [_cpu_seconds(process) for process in lane.processes]
    seconds = await fire(lane.make_call, count)
    after = [_cpu_seconds(process) for process in lane.processes]
    return Round(
        calls_per_second=count / seconds,
        cpu=tuple((b - a) / count * 1e6 for a, b in zip(before, after, strict=True)),
    )


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


@contextmanager
def started(module: str, folder: Path) -> Iterator[tuple[int, psutil.Process]]:
    """A serving process and its port; ended with the block."""
    words = [sys.executable, "-m", f"benchmarks.api.{module}", str(folder)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            if not line:
                raise RuntimeError(f"{module} ended before it served")
            yield int(line), psutil.Process(process.pid)
        finally:
            process.kill()


async def compare(rounds: int, calls: int) -> dict[str, list[Round]]:
    """Run all lanes in turns over one data folder."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        known = await seed(folder)
        with (
            started("grpc_server", folder) as (grpc_port, server),
            started("fastapi_server", folder) as (fastapi_port, twin),
        ):
            gateway = _gateway(grpc_port, folder / "gateway")
            rest_port = await gateway.start()
            async with grpc.aio.insecure_channel(f"127.0.0.1:{grpc_port}") as channel:
                lanes = [
                    Lane(
                        name="gRPC direct",
                        make_call=native(channel, known.secret, known.run_id),
                        processes=(server,),
                    ),
                    Lane(
                        name="REST through Envoy",
                        make_call=rest(rest_port, known.secret, known.run_id),
                        processes=(server, psutil.Process(gateway.pid)),
                    ),
                    Lane(
                        name="FastAPI + uvicorn",
                        make_call=rest(fastapi_port, known.secret, known.run_id),
                        processes=(twin,),
                    ),
                ]
                try:
                    return await _take_turns(lanes, rounds, calls)
                finally:
                    await gateway.drain(0)


def _gateway(grpc_port: int, work_dir: Path) -> Gateway:
    return Gateway(
        envoy=find_envoy(None),
        rest_host="127.0.0.1",
        rest_port=0,
        grpc_host="127.0.0.1",
        grpc_port=grpc_port,
        work_dir=work_dir,
        log_path=None,
    )


async def _take_turns(lanes: Sequence[Lane], rounds: int, calls: int) -> dict[str, list[Round]]:
    for lane in lanes:
        await measure(lane, WARM_UP)
    seen: dict[str, list[Round]] = {lane.name: [] for lane in lanes}
    for number in range(rounds):
        # Each round begins with another lane: none is always the one after the quietest.
        for lane in (*lanes[number % len(lanes) :], *lanes[: number % len(lanes)]):
            seen[lane.name].append(await measure(lane, calls))
    return seen


def report(seen: dict[str, list[Round]]) -> float:
    """Print the table; answer how many times FastAPI's CPU a direct call costs."""
    table = Table("", "calls/s", "server µs", "Envoy µs", "CPU µs a call", "× FastAPI")
    yardstick = _cpu(seen["FastAPI + uvicorn"])
    for name, rounds in seen.items():
        server = median(each.cpu[0] for each in rounds)
        envoy = median(each.cpu[1] for each in rounds) if len(rounds[0].cpu) > 1 else 0.0
        pace = median(each.calls_per_second for each in rounds)
        table.add_row(
            name,
            f"{pace:,.0f}",
            f"{server:.0f}",
            f"{envoy:.0f}" if envoy else "",
            f"{_cpu(rounds):.0f}",
            f"{_cpu(rounds) / yardstick:.2f}",
        )
    Console().print(table)
    return _cpu(seen["gRPC direct"]) / yardstick


def _cpu(rounds: Sequence[Round]) -> float:
    return median(sum(each.cpu) for each in rounds)


def main() -> None:
    """Compare and print; exit with 1 where a direct call costs more than it may."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--calls", type=int, default=2000)
    asked = parser.parse_args()
    seen = uvloop.run(compare(asked.rounds, asked.calls))
    print(
        f"{asked.rounds} rounds of {asked.calls} calls, {CALLERS} in flight, "
        f"{os.cpu_count()} cores; medians"
    )
    times = report(seen)
    verdict = "within" if times <= MOST_TIMES_FASTAPI else "over"
    print(f"gRPC direct: {times:.2f} × FastAPI's CPU a call, {verdict} {MOST_TIMES_FASTAPI} ×")
    sys.exit(times > MOST_TIMES_FASTAPI)


if __name__ == "__main__":
    main()
