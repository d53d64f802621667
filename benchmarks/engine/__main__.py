"""What driving runs costs: throughput beside the ideal, CPU a segment, memory.

Run from the project's folder: `python -m benchmarks.engine [--rounds 3]`, on a PostgreSQL with
`--database-url URL`, which it fills. Each case is measured in
a process of its own, the cases in turns, and medians of the rounds count. The ideal is what the
model alone allows (segments x latency / calls in flight); the peer is an empty asyncio loop that
sleeps as often in the same process. Exits with 1 where a target is missed.
"""

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from benchmarks.engine.case import Case, Taken

ROOT = Path(__file__).parents[2]


@dataclass(kw_only=True)
class Measured:
    """A case, what it must reach, and the rounds so far."""

    name: str
    case: Case
    least_of_ideal: float = 0.0
    least_a_second: float = 0.0
    rounds: list[Taken] = field(default_factory=list)

    @property
    def a_second(self) -> float:
        """Segments a second."""
        return self.case.segments / median(taken.seconds for taken in self.rounds)

    @property
    def of_ideal(self) -> float:
        """The part of the ideal throughput that was reached; nothing where the ideal is endless."""
        ideal = self.case.segments * self.case.latency / self.case.in_flight
        return ideal / median(taken.seconds for taken in self.rounds)

    @property
    def of_bare(self) -> float:
        """The same of an empty loop."""
        return median(taken.bare / taken.seconds for taken in self.rounds)

    @property
    def well(self) -> bool:
        """Whether it reached what it must."""
        return self.of_ideal >= self.least_of_ideal and self.a_second >= self.least_a_second


def cases(segments: int, many: int) -> list[Measured]:
    """What is measured."""

    def case(count: int, latency: float, in_flight: int) -> Case:
        return Case(segments=count, media_items=8, latency=latency, in_flight=in_flight)

    return [
        Measured(name="64 in flight", case=case(segments, 0.2, 64), least_of_ideal=0.95),
        Measured(name="500 in flight", case=case(segments, 0.2, 500), least_of_ideal=0.9),
        Measured(name="no latency", case=case(segments, 0.0, 64), least_a_second=5000),
        Measured(name="no latency, many", case=case(many, 0.0, 64), least_a_second=5000),
    ]


def measure(case: Case, database_url: str | None) -> Taken:
    """Measure a case in a process of its own."""
    words = [case.segments, case.media_items, case.latency, case.in_flight]
    argv = [sys.executable, "-m", "benchmarks.engine.case", *map(str, words)]
    if database_url is not None:
        argv.append(database_url)
    done = subprocess.run(argv, capture_output=True, text=True, cwd=ROOT, check=True)
    return Taken(**json.loads(done.stdout))


def report(measured: list[Measured]) -> Table:
    """Lay the cases out."""
    table = Table("case", "segments", "segments/s", "of the ideal", "of an empty loop")
    table.add_column("CPU ms a segment")
    table.add_column("grown MiB")
    table.add_column("reached")
    for one in measured:
        table.add_row(
            one.name,
            f"{one.case.segments:,}",
            f"{one.a_second:,.0f}",
            f"{one.of_ideal:.1%}" if one.case.latency else "",
            f"{one.of_bare:.1%}" if one.case.latency else "",
            f"{median(taken.cpu for taken in one.rounds) / one.case.segments * 1000:.3f}",
            f"{median(taken.grown for taken in one.rounds):.0f}",
            "yes" if one.well else "no",
        )
    return table


def main() -> None:
    """Measure, print, and say by the exit code whether every target is met."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--segments", type=int, default=5000)
    parser.add_argument("--many", type=int, default=100_000)
    parser.add_argument("--database-url", help="A PostgreSQL in place of a new SQLite file.")
    asked = parser.parse_args()
    measured = cases(asked.segments, asked.many)
    for _ in range(asked.rounds):
        for one in measured:
            one.rounds.append(measure(one.case, asked.database_url))
    Console(width=120).print(report(measured))
    sys.exit(not all(one.well for one in measured))


if __name__ == "__main__":
    main()
