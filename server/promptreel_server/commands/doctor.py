"""`promptreel doctor`: looks what a server stores over, says how to mend it, mends what is safe."""

import asyncio
import json
import os
import shutil
import sqlite3
import sys
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy import Connection
from sqlalchemy.exc import DatabaseError

from promptreel_server import settings as settings_module
from promptreel_server.app import media_folders, opened
from promptreel_server.engine.library.deletion import sweep
from promptreel_server.errors import Invalid, PromptreelError, StoreUnavailable, Unavailable
from promptreel_server.gateway import find_envoy
from promptreel_server.media.process import ffmpeg as programs
from promptreel_server.media.process.resource_limits import landlock_version
from promptreel_server.settings import Settings
from promptreel_server.store.catalogue import media
from promptreel_server.store.database.database import Database
from promptreel_server.store.database.sqlite import FILE_NAME, open_sqlite
from promptreel_server.store.runs import counter_audit, listing_audit
from promptreel_server.store.schema.migrate import is_current
from promptreel_server.weights.registry import registry
from promptreel_server.weights.shelf import Shelf, WeightsState

NO_LANDLOCK = (
    "seccomp alone: the kernel has no Landlock (Linux 5.13), so decoders may open what the "
    "server's user may"
)
_RESTORE = "restore a backup; keep the broken file"

MOST_NAMED = 20
"""Lost files whose media items are named."""

LEAST_ROOM = 256 * 2**20
"""Free bytes of the data folder's disk below which a server will soon be unable to write."""


class State(Enum):
    """How a check came out."""

    WELL = "well"
    MENDED = "mended"
    """It was not, and `--repair` has mended it."""
    WRONG = "wrong"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one check found, and what to do about it."""

    check: str
    state: State
    found: str
    remedy: str = ""


def doctor(
    data: Annotated[Path | None, typer.Option("--data", help="Data folder.")] = None,
    repair: Annotated[bool, typer.Option(help="Mend what is safe; stop the server first.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check database, counters, files, models and programs; exit 1 where something is wrong."""
    try:
        settings = settings_module.load({"data": data}).settings
        findings = asyncio.run(examine(settings, repair=repair))
    except PromptreelError as error:
        print(error.message, file=sys.stderr)
        raise typer.Exit(1) from error
    if as_json:
        rows = [{**asdict(one), "state": one.state.value} for one in findings]
        print(json.dumps(rows, indent=2))
    else:
        table = Table("check", "", "found", "what to do")
        for one in findings:
            table.add_row(one.check, one.state.value, one.found, one.remedy)
        Console().print(table)
    if any(one.state is State.WRONG for one in findings):
        raise typer.Exit(1)


async def examine(settings: Settings, *, repair: bool) -> list[Finding]:
    """Make all checks, in the order in which what is wrong would be mended.

    Raises:
        Unavailable: `repair`, while a server uses the folder.
    """
    findings = list(_programs(settings))
    findings += _models(settings)
    if settings.database_url is not None:
        return [*findings, *await _postgres(settings, repair=repair)]
    if not (settings.data / FILE_NAME).exists():
        remedy = "start a server, or name another folder with --data"
        found = f"there is none in {settings.data}"
        return [*findings, Finding(check="database", state=State.WELL, found=found, remedy=remedy)]
    findings.append(_room(settings.data))
    try:
        schema = _schema(settings.data, repair=repair)
        findings.append(schema)
        if schema.state is State.WRONG:
            return findings  # what is to be checked is described by the newest schema alone
        async with open_sqlite(settings.data, exclusive=repair) as database:
            findings.append(await _integrity(database))
            findings += [finding async for finding in _contents(settings, database, repair)]
    except (DatabaseError, sqlite3.DatabaseError, StoreUnavailable) as error:
        findings.append(_broken(error))
    except ExceptionGroup as group:  # what breaks while the database is open comes in one
        broken, others = group.split((DatabaseError, sqlite3.DatabaseError, StoreUnavailable))
        if broken is None or others is not None:
            raise
        findings.append(_broken(_first(broken)))
    return findings


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def _postgres(settings: Settings, *, repair: bool) -> list[Finding]:
    """Check a database on PostgreSQL, which sees to its own files, and the folder of the media."""
    folder = settings.media_folder or settings.data
    if not folder.is_dir():
        remedy = "start a server, or set media_folder to the folder that the servers share"
        missing = Finding(check="media folder", state=State.WRONG, found="missing", remedy=remedy)
        return [missing]
    try:
        async with opened(settings, migrating=repair) as database:
            found = await _examined(settings, database, repair=repair)
    except (Unavailable, Invalid) as error:
        return [Finding(check="database", state=State.WRONG, found=error.message)]
    if found is None:
        raise Unavailable("Other servers use the database; stop them first.")
    return [_room(folder), Finding(check="database", state=State.WELL, found="there"), *found]


async def _examined(
    settings: Settings, database: Database, *, repair: bool
) -> list[Finding] | None:
    """Check what the database says; None where it is to be mended beside other servers."""
    if not repair:
        return [finding async for finding in _contents(settings, database, repair)]
    async with database.peers.starting() as alone:
        if not alone:
            return None
        return [finding async for finding in _contents(settings, database, repair)]


def _programs(settings: Settings) -> list[Finding]:
    findings = []
    try:
        found = programs.locate(settings.ffmpeg, settings.ffprobe)
        said = f"{found.version} at {found.ffmpeg}"
        findings.append(Finding(check="ffmpeg", state=State.WELL, found=said))
    except Unavailable as error:
        findings.append(Finding(check="ffmpeg", state=State.WRONG, found=error.message))
    version = landlock_version()
    caged = f"Landlock {version} and seccomp" if version else NO_LANDLOCK
    findings.append(Finding(check="decoder cage", state=State.WELL, found=caged))
    try:
        envoy = str(find_envoy(settings.envoy))
        findings.append(Finding(check="envoy", state=State.WELL, found=envoy))
    except Unavailable as error:
        findings.append(Finding(check="envoy", state=State.WRONG, found=error.message))
    return findings


def _models(settings: Settings) -> list[Finding]:
    shelf = Shelf(settings.models)
    findings = []
    for name, weights in registry().items():
        if not (weights.default or weights.shipped):
            continue
        there = shelf.state(weights) is not WeightsState.MISSING
        findings.append(
            Finding(
                check=f"model {name}",
                state=State.WELL if there else State.WRONG,
                found="there" if there else "missing",
                remedy="" if there else f"promptreel models pull {name}",
            )
        )
    return findings


def _room(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    writable = os.access(folder, os.W_OK)
    said = f"{free / 2**20:,.0f} MiB free" if writable else "it can't be written"
    remedy = "" if writable else "let the server's user write it; is it mounted read-only?"
    if writable and free < LEAST_ROOM:
        remedy = "make room, or move the data folder to a larger disk"
    state = State.WRONG if remedy else State.WELL
    return Finding(check="data folder", state=state, found=said, remedy=remedy)


def _schema(folder: Path, *, repair: bool) -> Finding:
    if is_current(folder / FILE_NAME):
        return Finding(check="schema", state=State.WELL, found="current")
    if repair:
        return Finding(check="schema", state=State.MENDED, found="brought to the newest")
    remedy = "start the server, or --repair"
    return Finding(check="schema", state=State.WRONG, found="older", remedy=remedy)


def _broken(error: BaseException) -> Finding:
    """What is said of a file that SQLite can't read."""
    said = str(getattr(error, "orig", error))
    return Finding(check="database", state=State.WRONG, found=said, remedy=_RESTORE)


async def _integrity(database: Database) -> Finding:
    faults = await database.read(_faults)
    return Finding(
        check="database",
        state=State.WRONG if faults else State.WELL,
        found="; ".join(faults) or "sound",
        remedy=_RESTORE if faults else "",
    )


async def _contents(settings: Settings, database: Database, repair: bool) -> AsyncIterator[Finding]:
    wrong = await database.read_snapshot(counter_audit.miscounts)
    if wrong and repair:
        await _mend_counters(database)
    yield _finding("counters", [f"{'/'.join(m.key)} {m.counter}" for m in wrong], repair)
    stuck = await database.read(counter_audit.stuck)
    if stuck and repair:
        await database.write(lambda tx: counter_audit.close(tx, stuck))
    yield _finding("stuck runs", stuck, repair)
    yield await _listed(database, repair)
    async for finding in _files(settings, database, repair):
        yield finding


async def _listed(database: Database, repair: bool) -> Finding:
    """Whether every segment that is counted is listed with its times."""
    check = "listed segments"
    wrong = await database.read_snapshot(listing_audit.unlisted)
    if not wrong:
        return Finding(check=check, state=State.WELL, found="as many as are counted")
    if repair:
        await database.write(lambda tx: listing_audit.mend(tx, wrong))
        left = await database.read_snapshot(listing_audit.unlisted)
        if not left:
            return Finding(check=check, state=State.MENDED, found=f"{len(wrong)} media items")
        wrong = left
    first = wrong[0]
    found = (
        f"{len(wrong)} media items count segments that no page lists, first {first.video_id} in "
        f"{first.run_id}: {first.segments} without times, {first.missing} without a row"
    )
    remedy = "run the prompt over these media again" if repair else "stop the server and --repair"
    return Finding(check=check, state=State.WRONG, found=found, remedy=remedy)


async def _mend_counters(database: Database) -> None:
    """Mend media items, then the runs that count them up."""
    while wrong := await database.read_snapshot(counter_audit.miscounts):
        await database.write(lambda tx: counter_audit.mend(tx, wrong))


async def _files(settings: Settings, database: Database, repair: bool) -> AsyncIterator[Finding]:
    blobs, thumbnails = media_folders(settings)
    stored = set(await asyncio.to_thread(lambda: list(blobs.stored())))
    wanted = await database.read(media.all_sha256)
    lost = sorted(wanted - stored)
    yield Finding(
        check="media files",
        state=State.WRONG if lost else State.WELL,
        found=await _lost(database, lost) if lost else f"{len(wanted)} there",
        remedy="restore them from a backup, or delete these media items" if lost else "",
    )
    orphans = sorted(stored - wanted)
    if repair:
        await sweep(database, blobs, thumbnails)
    yield _finding("files of no media item", orphans, repair)


async def _lost(database: Database, hashes: list[str]) -> str:
    """Say which media items have lost their bytes, the first of them by name."""
    named = hashes[:MOST_NAMED]
    items = await database.read(
        lambda c: [item for sha256 in named for item in media.standing_on(c, sha256)]
    )
    more = len(hashes) - len(named)
    said = f"{len(hashes)} lost: bytes of {', '.join(items)}"
    return f"{said} and {more} more" if more else said


def _finding(check: str, wrong: list[str], repair: bool) -> Finding:
    if not wrong:
        return Finding(check=check, state=State.WELL, found="none wrong")
    found = f"{len(wrong)} wrong, first {wrong[0]}"
    if repair:
        return Finding(check=check, state=State.MENDED, found=found)
    remedy = "stop the server and --repair"
    return Finding(check=check, state=State.WRONG, found=found, remedy=remedy)


def _faults(connection: Connection) -> list[str]:
    said = connection.exec_driver_sql("PRAGMA integrity_check(10)").scalars()
    return [line for line in said if line != "ok"]
