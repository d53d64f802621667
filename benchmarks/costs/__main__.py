"""Costs over a large store: `python -m benchmarks.costs --items 1000000`.

Seeds a SQLite file by bulk inserts, then measures a look for undone media (a page, at the beginning
and at the end), a page of 100 media, and the sweep of blobs at start. Prints a table in Markdown.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text

from promptreel_server.engine.library.deletion import SWEPT_AT_ONCE, batched
from promptreel_server.store.catalogue import media
from promptreel_server.store.database.database import Database
from promptreel_server.store.database.sqlite import open_sqlite
from promptreel_server.store.runs import processing_status, run_media
from promptreel_server.store.schema.transaction import Transaction

A_RUN = 10_000
"""Media items of one run."""
ROUNDS = 7


_RUN = f"printf('run_%09d', i - i % {A_RUN})"
_MEDIUM = "printf('vid_%09d', i)"
_TABLES: dict[str, dict[str, str]] = {
    "media": {
        "video_id": _MEDIUM,
        "owner_id": "'ann'",
        "media_type": "'video'",
        "status": "'processed'",
        "sha256": "printf('%064d', i)",
        "start": "'0/1'",
        "duration": "'10/1'",
    },
    "runs": {"run_id": _RUN, "owner_id": "'ann'", "status": "'processing'"},
    "run_media": {
        "run_id": _RUN,
        "video_id": _MEDIUM,
        "owner_id": "'ann'",
        "ordinal": f"i % {A_RUN}",
        "media_type": "'video'",
        "status": "'pending'",
    },
}
"""What a column holds, as SQL over the number `i` of a media item; the others hold nothing."""


def _seed(tx: Transaction, items: int) -> None:
    """Write runs of `A_RUN` media items each, all of them open."""
    numbers = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :items)"
    for table, known in _TABLES.items():
        values = _blank(tx.connection, table) | known
        which = f"WHERE i % {A_RUN} = 0" if table == "runs" else ""
        tx.execute(
            text(
                f"INSERT INTO {table} ({', '.join(values)}) {numbers} "
                f"SELECT {', '.join(values.values())} FROM n {which}"
            ),
            {"items": items},
        )


def _blank(connection: Connection, table: str) -> dict[str, str]:
    """What fills the columns of a table that must hold something."""
    columns = connection.execute(text(f"PRAGMA table_info({table})"))
    kinds = {"JSON": "'null'", "VARCHAR": "''", "TEXT": "''"}
    return {
        row.name: kinds.get(row.type, "0")
        for row in columns
        if row.notnull and row.dflt_value is None
    }


async def _milliseconds(database: Database, look: Callable[[Connection], Any]) -> float:
    """The median of several looks."""
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        await database.read(look)
        times.append(time.perf_counter() - began)
    return sorted(times)[ROUNDS // 2] * 1000


async def _swept(database: Database, items: int) -> float:
    began = time.perf_counter()
    for sha256s in batched((f"{number:064d}" for number in range(items)), SWEPT_AT_ONCE):
        used = await database.read(
            lambda c, sha256s=sha256s: media.blobs_in_use(c, sha256s)  # type: ignore[misc]
        )
        assert len(used) == len(sha256s)
    return (time.perf_counter() - began) * 1000


async def main(items: int) -> None:
    """Seed and measure."""
    with tempfile.TemporaryDirectory() as folder:
        async with open_sqlite(Path(folder)) as database:
            await database.write(lambda tx: _seed(tx, items))
            last = (f"run_{items - A_RUN:09d}", f"vid_{items - 2000:09d}")
            page = [f"vid_{number * (items // 100):09d}" for number in range(100)]
            rows = {
                "a look for undone media, 1,000 at the beginning": await _milliseconds(
                    database, lambda c: run_media.undone(c, 1000)
                ),
                "a look for undone media, 1,000 at the end": await _milliseconds(
                    database, lambda c: run_media.undone(c, 1000, last)
                ),
                "a page of 100 media, with how runs stand": await _milliseconds(
                    database, lambda c: processing_status.of_media(c, page)
                ),
                f"the blobs of {items:,} media at start": await _swept(database, items),
            }
    print(f"| over {items:,} open media items | ms |\n| --- | --- |")
    for name, milliseconds in rows.items():
        print(f"| {name} | {milliseconds:,.1f} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=1_000_000)
    asyncio.run(main(parser.parse_args().items))
