"""Many watchers in a process of their own.

Run as `python -m benchmarks.watch.herd ADDRESS KEY RUN_ID COUNT AT_ONCE`; an address that begins
with `http://` is watched over REST. Prints `open` once all are, and once all ended a line of JSON:
what they saw, and of ten of them when.
"""

import asyncio
import json
import os
import sys
from collections import Counter
from contextlib import AsyncExitStack

import uvloop

from benchmarks.watch.sight import Sight
from benchmarks.watch.watchers import MOST_ON_A_CHANNEL, channels, watch, watch_over_rest

OPENING_AT_ONCE = 100
"""A gRPC server cancels what it has not come to: a thousand new calls at once are too many."""

NICE = 15
"""Who watches does so from elsewhere: here they leave the processors to the server and its run."""


async def herd(address: str, key: str, run_id: str, count: int, at_once: int) -> list[Sight]:
    """Watch a run `count` times at once."""
    waiting = count
    opening = asyncio.Semaphore(OPENING_AT_ONCE)

    def opened() -> None:
        nonlocal waiting
        waiting -= 1
        opening.release()
        if not waiting:
            print("open", flush=True)

    over_rest = address.startswith("http://")
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
        ways = [] if over_rest else channels(address, count)
        for way in ways:
            stack.push_async_callback(way.close)
        watching = []
        for number in range(count):
            await opening.acquire()
            if over_rest:
                one = watch_over_rest(address, key, run_id, opened=opened)
            else:
                way = ways[number // MOST_ON_A_CHANNEL]
                one = watch(way, key, run_id, at_once=at_once, opened=opened)
            watching.append(tasks.create_task(one))
    return [task.result() for task in watching]


def main() -> None:
    """Watch, then tell what was seen."""
    address, key, run_id, count, at_once = sys.argv[1:]
    os.nice(NICE)
    sights = uvloop.run(herd(address, key, run_id, int(count), int(at_once)))
    told = {
        "digests": Counter(sight.digest for sight in sights),
        "ended": sum(sight.ended for sight in sights),
        "seen_at": [list(sight.seen_at.items()) for sight in sights[:: max(1, len(sights) // 10)]],
    }
    print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
