"""Play interleavings from the command line: one again by its seed, or many until one fails.

python -m tests.simulation --seed 17 [--database postgres] [--trace]
python -m tests.simulation --first 0 --count 1000
"""

import argparse
import sys
import time
from contextlib import ExitStack

from tests.postgres import postgres_served
from tests.simulation.backends import Backend, postgres_backend, sqlite_backend
from tests.simulation.interleaving import Interleaving, Violation


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="play this one")
    parser.add_argument("--first", type=int, default=0, help="play from this one on")
    parser.add_argument("--count", type=int, default=200, help="play so many")
    parser.add_argument("--servers", type=int, default=2)
    parser.add_argument("--database", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--trace", action="store_true", help="say what happens when")
    parser.add_argument("--go-on", action="store_true", help="go on after a failure")
    asked = parser.parse_args()
    seeds = range(asked.first, asked.first + asked.count) if asked.seed is None else [asked.seed]
    number = failed = 0
    begun = time.process_time()
    with ExitStack() as stack:
        backend = _backend(stack, asked.database)
        for seed in seeds:
            number += 1
            played = Interleaving(seed, backend, servers=asked.servers)
            try:
                played.run()
            except Violation as violation:
                failed += 1
                print(violation, flush=True)
            if asked.trace:
                print("\n".join(played.trace))
            if failed and not asked.go_on:
                break
    took = time.process_time() - begun
    print(f"{number} played, {failed} failed, {took / number * 1000:.0f} ms of CPU each")
    return 1 if failed else 0


def _backend(stack: ExitStack, name: str) -> Backend:
    if name == "sqlite":
        return stack.enter_context(sqlite_backend())
    return stack.enter_context(postgres_backend(stack.enter_context(postgres_served())))


if __name__ == "__main__":
    sys.exit(main())
