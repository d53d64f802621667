"""From commit to a watcher inside the server's process: store, tail and watch, and nothing else."""

import asyncio
import contextlib
import time
from pathlib import Path

from promptreel.v2 import prompt_run_pb2
from promptreel_server.domain.event import EventType
from promptreel_server.domain.key import Scope
from promptreel_server.services.call.context import Call, current
from promptreel_server.services.watch.run_watches import Watches
from promptreel_server.services.watch.watch_hub import Tails, WatchLimits
from promptreel_server.store import feed
from promptreel_server.store.database.sqlite import open_sqlite

OWNER = "local"
PAUSE_SECONDS = 0.01


async def measure(folder: Path, run_id: str, events: int) -> list[float]:
    """Commit so many events about a run that does not end; answer the seconds until each is seen.

    The seconds count from the moment that the writer is told its change is committed.
    """
    async with open_sqlite(folder, exclusive=False) as database:
        tails = Tails(database, WatchLimits())
        committed: dict[int, float] = {}
        seen: dict[int, float] = {}
        current.set(Call(owner_id=OWNER, key_id="key_1", scope=Scope.READ, request_id="1"))

        async def look() -> None:
            request = prompt_run_pb2.WatchPromptRunRequest(run_id=run_id)
            async with contextlib.aclosing(Watches(database, tails).run(request)) as updates:
                async for update in updates:
                    if update.HasField("event"):
                        seen[update.sequence] = time.perf_counter()
                    if len(seen) == events:
                        return

        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(tails.run())
            looking = tasks.create_task(look())
            await asyncio.sleep(0.5)
            for _ in range(events):
                sequence = await database.write(
                    lambda tx: feed.append(tx, OWNER, EventType.SEGMENT_STARTED, run_id=run_id)
                )
                committed[sequence] = time.perf_counter()
                await asyncio.sleep(PAUSE_SECONDS)
            await looking
            reading.cancel()
    return [seen[sequence] - at for sequence, at in committed.items()]
