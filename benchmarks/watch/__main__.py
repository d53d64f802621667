"""What watching costs: how late watchers see a change, what they weigh, what the run loses by it.

Run from the project's folder: `python -m benchmarks.watch`. The same run is made again and again,
in turns watched by nobody and by many (`--busy`) while thousands (`--idle`) watch another run of
the same owner that does not move; every watcher's sequence of transitions is compared with the one
that the store tells afterwards. Medians of the rounds count.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import uvloop
from rich.console import Console
from rich.table import Table

from benchmarks.watch import in_process
from benchmarks.watch.commits import Commits
from benchmarks.watch.serving import ROOT, Served, execute, served, upload
from benchmarks.watch.sight import Sight, percentile
from benchmarks.watch.watchers import channels, watch, watch_over_rest
from promptreel_client import Client

MOST_SLOWER = 0.05
MOST_KIB = 30.0
MOST_P50, MOST_P99 = 0.010, 0.100


@dataclass(frozen=True, kw_only=True)
class Round:
    """One run, and how it went."""

    seconds: float
    native: list[float]
    """Seconds from each commit until the one who measures saw it, by gRPC."""
    rest: list[float]
    """The same over REST."""
    herd: list[float]
    """The same of ten of the many."""


@dataclass(frozen=True, kw_only=True)
class Weight:
    """What idle watches weigh, in KiB each."""

    name: str
    watches: int
    server: float
    envoy: float


@contextmanager
def herd(served: Served, address: str, run_id: str, count: int, at_once: int) -> Iterator["Herd"]:
    """Watch a run many times from another process."""
    argv = [sys.executable, "-m", "benchmarks.watch.herd", address, served.key, run_id]
    argv += [str(count), str(at_once)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            yield process
        finally:
            process.kill()


Herd = subprocess.Popen[str]


def _line(process: Herd) -> str:
    line = process.stdout.readline() if process.stdout else ""
    if not line:
        raise RuntimeError("the watchers' process broke off")
    return line


def weigh(served: Served, stack: ExitStack, run_id: str, address: str, count: int) -> Weight:
    """Open idle watches that stay for the length of the stack, and weigh what that added."""
    before = served.server.memory_info().rss, served.envoy.memory_info().rss
    _line(stack.enter_context(herd(served, address, run_id, count, 1)))
    after = served.server.memory_info().rss, served.envoy.memory_info().rss
    server, envoy = ((b - a) / count / 1024 for a, b in zip(before, after, strict=True))
    way = "REST through Envoy" if address.startswith("http") else "gRPC"
    return Weight(name=way, watches=count, server=server, envoy=envoy)


async def probe(served: Served, run_id: str, at_once: int) -> tuple[Sight, Sight]:
    """Watch a run once by gRPC and once over REST."""
    (way,) = channels(served.grpc, 1)
    async with way, asyncio.TaskGroup() as tasks:
        native = tasks.create_task(watch(way, served.key, run_id, at_once=at_once, opened=_nothing))
        rest = tasks.create_task(watch_over_rest(served.rest, served.key, run_id, opened=_nothing))
    return native.result(), rest.result()


def _nothing() -> None:
    """Nobody waits for the first word."""


def make_round(
    served: Served, client: Client, folder: Path, videos: list[str], *, busy: int, at_once: int
) -> Round:
    """Make a run, watched by so many besides the two that measure, and wait for all to end."""
    with Commits(folder / "data", in_process.OWNER) as commits, ExitStack() as stack:
        run_id = execute(client, videos, "late")
        watching = None
        if busy:
            watching = stack.enter_context(herd(served, served.grpc, run_id, busy, at_once))
        native, rest = uvloop.run(probe(served, run_id, at_once))
        digests, herd_seen = {native.digest: busy}, []
        if watching is not None:
            _line(watching)
            told = json.loads(_line(watching))
            assert told["ended"] == busy
            digests, herd_seen = told["digests"], [dict(pairs) for pairs in told["seen_at"]]
    afterwards = uvloop.run(probe(served, run_id, at_once))[0]
    assert native.ended
    assert rest.ended
    assert native.digest == rest.digest == afterwards.digest, "a watcher missed something"
    assert digests == {afterwards.digest: busy}, "a watcher missed something"
    return Round(
        seconds=native.last_at - native.first_at,
        native=commits.until_seen(native.seen_at),
        rest=commits.until_seen(rest.seen_at),
        herd=[late for seen in herd_seen for late in commits.until_seen(seen)],
    )


def main() -> None:
    """Measure and print; exit with 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--segments", type=int, default=5000)
    parser.add_argument("--latency", type=float, default=0.4, help="seconds a model call takes")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--busy", type=int, default=200)
    parser.add_argument("--at-once", type=int, default=100, help="updates a message may hold")
    parser.add_argument("--idle", type=int, default=10_000, help="idle watches by gRPC")
    parser.add_argument("--idle-rest", type=int, default=1000, help="idle watches through Envoy")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        weights, unwatched, watched, asleep = _live(folder, asked)
        inside = uvloop.run(in_process.measure(folder / "data", asleep, 500))
    sys.exit(not report(asked, weights, unwatched, watched, inside))


def _live(
    folder: Path, asked: argparse.Namespace
) -> tuple[list[Weight], list[Round], list[Round], str]:
    weights, unwatched, watched = [], [], []
    with (
        served(folder, asked.latency) as server,
        Client(server.grpc, api_key=server.key, timeout=120) as client,
        ExitStack() as stack,
    ):
        videos = upload(client, folder, asked.segments)
        asleep = execute(client, upload(client, folder, 1)[:1], "asleep")

        def round_with(busy: int) -> Round:
            return make_round(server, client, folder, videos, busy=busy, at_once=asked.at_once)

        round_with(0)  # cuts the media, warms up
        for number in range(asked.rounds):
            unwatched.append(round_with(0))
            print(f"unwatched: {unwatched[-1].seconds:.2f} s", flush=True)
            if not number:
                weights.append(weigh(server, stack, asleep, server.grpc, asked.idle))
                weights.append(weigh(server, stack, asleep, server.rest, asked.idle_rest))
            watched.append(round_with(asked.busy))
            print(f"watched by {asked.busy}: {watched[-1].seconds:.2f} s", flush=True)
    return weights, unwatched, watched, asleep


def report(
    asked: argparse.Namespace,
    weights: list[Weight],
    unwatched: list[Round],
    watched: list[Round],
    inside: list[float],
) -> bool:
    """Print the tables; answer whether every target is met."""
    late = Table("from commit to seen", "p50 ms", "p99 ms")
    _lateness(late, "inside the server", inside)
    for rounds, name in ((unwatched, "nobody else"), (watched, f"{asked.busy} more, idle ones")):
        _lateness(late, f"gRPC, {name}", [x for r in rounds for x in r.native])
        _lateness(late, f"REST through Envoy, {name}", [x for r in rounds for x in r.rest])
    _lateness(late, f"gRPC, those {asked.busy}", [x for r in watched for x in r.herd])
    Console().print(late)
    weight = Table("idle watches", "how many", "server KiB each", "Envoy KiB each")
    for one in weights:
        weight.add_row(one.name, f"{one.watches:,}", f"{one.server:.1f}", f"{one.envoy:.1f}")
    Console().print(weight)
    alone, together = (median(r.seconds for r in rounds) for rounds in (unwatched, watched))
    slower = together / alone - 1
    print(f"the run: {alone:.2f} s unwatched, {together:.2f} s watched, {slower:+.1%}")
    p50, p99 = percentile(inside, 0.5), percentile(inside, 0.99)
    return (
        slower <= MOST_SLOWER
        and weights[0].server <= MOST_KIB
        and p50 <= MOST_P50
        and p99 <= MOST_P99
    )


def _lateness(table: Table, name: str, seconds: list[float]) -> None:
    p50, p99 = percentile(seconds, 0.5) * 1000, percentile(seconds, 0.99) * 1000
    table.add_row(name, f"{p50:.1f}", f"{p99:.1f}")


if __name__ == "__main__":
    main()
