"""What comes in and what goes, when the server dies or changes its mind in between."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from promptreel_server.domain.event import EventType
from promptreel_server.domain.import_job import ImportJob, ImportStatus, SourceKind
from promptreel_server.domain.index import DeletionStatus
from promptreel_server.domain.media import MediaFacts, MediaItem
from promptreel_server.engine.dispatch.stop_flags import Stops
from promptreel_server.engine.library.deletion import Deleter, sweep
from promptreel_server.engine.library.media_imports import ImportLimits, Imports, Upload
from promptreel_server.engine.library.uri_imports import UriImports
from promptreel_server.errors import RateLimited, TooLarge, UnsupportedMedia
from promptreel_server.media.blobs import FileBlobs
from promptreel_server.media.frames.thumbnails import Thumbnails
from promptreel_server.store import feed
from promptreel_server.store.catalogue import import_jobs, indexes, media
from promptreel_server.store.database.database import Database
from promptreel_server.store.deletion import deletions
from promptreel_server.store.schema.transaction import Transaction
from tests.media_items import FACTS

MOST_ITEMS = 20
AT_ONCE = 2
QUOTA = 10_000


@dataclass(frozen=True, kw_only=True)
class Intake:
    """Everything through which bytes come and go, over one database and one folder."""

    database: Database
    folder: Path
    blobs: FileBlobs
    thumbnails: Thumbnails
    imports: Imports
    from_uris: UriImports
    deleter: Deleter

    async def take(
        self, content: bytes, *, owner: str = "ann", index_id: str | None = None
    ) -> ImportJob:
        upload = Upload(owner_id=owner, title="Clip", index_id=index_id, file_name="clip.mp4")
        job = self.imports.new_job(upload, SourceKind.UPLOAD)
        async with await self.imports.writer(owner) as writer:
            await writer.write(content)
            return await self.imports.finish(job, writer)

    def files(self) -> list[Path]:
        return sorted(path for path in self.folder.rglob("*") if path.is_file())

    async def accept(self, path: Path, index_id: str | None = None) -> ImportJob:
        upload = Upload(owner_id="ann", title="Clip", index_id=index_id, file_name=path.name)
        return await self.database.write(
            lambda tx: self.from_uris.accept(tx, upload, path.as_uri())
        )

    async def job(self, job_id: str) -> ImportJob:
        return await self.database.read(lambda c: import_jobs.fetch(c, "ann", job_id))

    async def all_media(self) -> list[MediaItem]:
        return await self.database.read(lambda c: media.all_of_index(c, "ann", None))


async def _probe(path: Path) -> MediaFacts:
    content = await asyncio.to_thread(path.read_bytes)
    if content.startswith(b"bad"):
        raise UnsupportedMedia("This is no media that can be decoded.")
    return FACTS


@pytest.fixture
def intake(database: Database, tmp_path: Path) -> Intake:
    folder, root = tmp_path / "blobs", tmp_path / "root"
    root.mkdir()
    blobs, thumbnails = FileBlobs(folder), Thumbnails(tmp_path / "thumbnails")
    limits = ImportLimits(
        most_bytes=6000, quota_bytes=QUOTA, most_items=MOST_ITEMS, at_once=AT_ONCE
    )
    imports = Imports(database, blobs, _probe, limits)
    return Intake(
        database=database,
        folder=folder,
        blobs=blobs,
        thumbnails=thumbnails,
        imports=imports,
        from_uris=UriImports(database, imports, (root,)),
        deleter=Deleter(database, blobs, thumbnails, Stops(database)),
    )


@asynccontextmanager
async def _running(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(work)
        yield
        task.cancel()


async def _until(look: Callable[[], Coroutine[Any, Any, bool]]) -> None:
    async with asyncio.timeout(10):
        while not await look():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_bytes_come_in_and_are_told(intake: Intake) -> None:
    job = await intake.take(b"good")

    [item] = await intake.all_media()
    events = await intake.database.read(lambda c: feed.after(c, "ann", 0, feed.EventFilter(), 10))
    assert item.video_id == job.video_id
    assert intake.files() == [intake.blobs.path(item.sha256)]
    assert [event.event_type for event in events] == [
        EventType.MEDIA_CREATED,
        EventType.IMPORT_COMPLETED,
    ]


async def test_bytes_that_are_refused_leave_the_job_and_nothing_else(intake: Intake) -> None:
    job = await intake.take(b"bad bytes")

    assert job.status is ImportStatus.FAILED
    assert job.error_message == "This is no media that can be decoded."
    assert intake.files() == []
    assert await intake.all_media() == []


async def test_an_index_that_goes_away_meanwhile_takes_the_bytes_with_it(intake: Intake) -> None:
    index = await intake.database.write(lambda tx: indexes.create(tx, "ann", "Archive"))
    await intake.database.write(lambda tx: deletions.request_index(tx, "ann", index.index_id))

    with pytest.raises(Exception, match="being deleted"):
        await intake.take(b"good", index_id=index.index_id)

    assert intake.files() == []


async def test_an_owner_has_a_quota_of_their_own(intake: Intake) -> None:
    await intake.take(b"a" * 6000)

    with pytest.raises(TooLarge, match="4000 bytes that you have left; delete some media"):
        await intake.take(b"b" * 4001)
    await intake.take(b"c" * 4000)
    with pytest.raises(TooLarge, match="delete some"):
        await intake.take(b"d")
    await intake.take(b"e", owner="bob")
    used = await intake.database.read(lambda c: media.used(c, "ann"))
    assert used == media.Used(items=2, bytes=QUOTA)


async def test_uploads_that_come_in_together_do_not_pass_the_quota_together(intake: Intake) -> None:
    await intake.take(b"a" * 4001)  # each of the next two fits beside it, both do not

    async def take(content: bytes) -> ImportJob | TooLarge:
        try:
            return await intake.take(content)
        except TooLarge as refused:
            return refused

    ends = await asyncio.gather(take(b"b" * 3000), take(b"c" * 3000))

    refused = [end.message for end in ends if isinstance(end, TooLarge)]
    assert len(refused) == 1
    assert "would take 1 bytes more than the 10000" in refused[0], "it does not take them"
    used = await intake.database.read(lambda c: media.used(c, "ann"))
    assert used == media.Used(items=2, bytes=7001)
    assert len(intake.files()) == 2, "the bytes of what was refused are gone"


async def test_an_owner_keeps_so_many_media_items_and_no_more(intake: Intake) -> None:
    for number in range(MOST_ITEMS):
        await intake.take(b"%d" % number)
    with pytest.raises(TooLarge, match="all that you may"):
        await intake.take(b"one more")
    await intake.take(b"one more", owner="bob")


async def test_so_many_uploads_of_an_owner_come_in_at_once(intake: Intake) -> None:
    async with await intake.imports.writer("ann"), await intake.imports.writer("ann"):
        with pytest.raises(RateLimited, match="wait for one to end"):
            await intake.imports.writer("ann")
        async with await intake.imports.writer("bob"):
            pass
    async with await intake.imports.writer("ann"):
        pass


async def test_bytes_that_came_before_need_no_room_to_be_compared(intake: Intake) -> None:
    for number in range(MOST_ITEMS):
        await intake.take(b"good %d" % number)

    async with await intake.imports.writer("ann", again=True) as writer:
        await writer.write(b"good 0")
        assert (await writer.seal()).size == len(b"good 0")

    assert len(intake.files()) == MOST_ITEMS


async def test_who_leaves_while_the_row_waits_to_be_written_leaves_it_its_bytes(
    intake: Intake,
) -> None:
    async with _held_up(intake):
        taking = asyncio.create_task(intake.take(b"good"))
        await _until(lambda: _queued(intake, 1))
        taking.cancel()
        await asyncio.wait([taking], timeout=0.2)
    with pytest.raises(asyncio.CancelledError):
        await taking
    await intake.database.write(lambda _: None)  # behind all that was queued

    [item] = await intake.all_media()
    assert intake.files() == [intake.blobs.path(item.sha256)]


@asynccontextmanager
async def _held_up(intake: Intake) -> AsyncIterator[None]:
    """Have all changes wait for the end of the block."""
    begun, let_go = threading.Event(), threading.Event()

    def hold_up(_: Transaction) -> None:
        begun.set()
        let_go.wait(10)

    before = asyncio.create_task(intake.database.write(hold_up))
    await asyncio.to_thread(begun.wait, 10)
    try:
        yield
    finally:
        let_go.set()
        await before


async def _queued(intake: Intake, changes: int) -> bool:
    return intake.database.waiting == changes


async def test_bytes_without_a_row_and_half_written_ones_are_swept_at_start(
    intake: Intake,
) -> None:
    kept = await intake.take(b"good")
    async with intake.blobs.writer() as writer:
        await writer.write(b"the server died before the row was written")
        await writer.keep()
    half = intake.folder / "partial" / "half"
    half.write_bytes(b"half")
    await intake.thumbnails.write(intake.thumbnails.gif_path("vid_gone"), b"GIF")
    await intake.thumbnails.write(intake.thumbnails.gif_path(str(kept.video_id)), b"GIF")

    removed = await sweep(intake.database, intake.blobs, intake.thumbnails)

    [item] = await intake.all_media()
    assert removed == 3
    assert intake.files() == [intake.blobs.path(item.sha256)]
    assert intake.thumbnails.owners() == [kept.video_id]


async def test_an_import_that_a_crash_broke_off_is_taken_up_again(
    intake: Intake, tmp_path: Path
) -> None:
    path = tmp_path / "root" / "clip.mp4"
    path.write_bytes(b"good")
    job = await intake.accept(path)
    begun = replace(job, status=ImportStatus.IMPORTING, bytes_transferred=2)
    await intake.database.write(lambda tx: import_jobs.put(tx, begun))

    await _imported(intake, job)

    done = await intake.job(job.job_id)
    [item] = await intake.all_media()
    assert done.status is ImportStatus.COMPLETED
    assert (done.bytes_transferred, done.video_id) == (4, item.video_id)
    assert item.source_uri == path.as_uri()


async def test_a_file_that_is_gone_when_its_turn_comes_fails_its_import(
    intake: Intake, tmp_path: Path
) -> None:
    path = tmp_path / "root" / "clip.mp4"
    path.write_bytes(b"good")
    job = await intake.accept(path)
    path.unlink()

    await _imported(intake, job)

    assert (await intake.job(job.job_id)).status is ImportStatus.FAILED
    assert intake.files() == []


async def test_an_import_is_not_begun_whose_index_has_gone(intake: Intake, tmp_path: Path) -> None:
    path = tmp_path / "root" / "clip.mp4"
    path.write_bytes(b"good")
    index = await intake.database.write(lambda tx: indexes.create(tx, "ann", "Archive"))
    job = await intake.accept(path, index.index_id)
    await intake.database.write(lambda tx: deletions.request_index(tx, "ann", index.index_id))

    await _imported(intake, job)

    events = await intake.database.read(lambda c: feed.after(c, "ann", 0, feed.EventFilter(), 10))
    assert "being deleted" in ((await intake.job(job.job_id)).error_message or "")
    assert [event.event_type for event in events] == [EventType.IMPORT_FAILED]


async def test_an_import_has_its_turn_beside_all_the_uploads_that_may_come_in(
    intake: Intake, tmp_path: Path
) -> None:
    path = tmp_path / "root" / "clip.mp4"
    path.write_bytes(b"good")
    async with AsyncExitStack() as uploads:
        for _ in range(AT_ONCE):
            await uploads.enter_async_context(await intake.imports.writer("ann"))
        job = await intake.accept(path)
        await _imported(intake, job)

    assert (await intake.job(job.job_id)).status is ImportStatus.COMPLETED


async def test_a_file_that_is_cut_off_while_it_is_copied_is_not_taken_for_the_whole(
    intake: Intake, tmp_path: Path
) -> None:
    path = tmp_path / "root" / "clip.mp4"
    path.write_bytes(b"good, and whole")
    job = await intake.accept(path)

    async with AsyncExitStack() as running:
        async with _held_up(intake):
            await running.enter_async_context(_running(intake.from_uris.run()))
            await _until(lambda: _queued(intake, 1))  # it has been looked at, and waits to begin
            os.truncate(path, 6)
        await _until(lambda: _ended(intake, job))

    ended = await intake.job(job.job_id)
    assert (ended.status, intake.files()) == (ImportStatus.FAILED, [])
    assert "changed while it was copied" in (ended.error_message or "")


async def test_a_cancelled_import_is_not_begun(intake: Intake, tmp_path: Path) -> None:
    path = tmp_path / "root" / "clip.mp4"
    path.write_bytes(b"good")
    job, other = await intake.accept(path), await intake.accept(path)
    await intake.database.write(lambda tx: intake.from_uris.cancel(tx, "ann", job.job_id))

    async with _running(intake.from_uris.run()):
        await _until(lambda: _ended(intake, other))

    cancelled = await intake.job(job.job_id)
    assert cancelled.status is ImportStatus.CANCELLED
    assert cancelled.video_id is None
    assert len(await intake.all_media()) == 1
    events = await intake.database.read(lambda c: feed.after(c, "ann", 0, feed.EventFilter(), 10))
    assert events[0].event_type is EventType.IMPORT_FAILED
    assert events[0].payload["status"] == "cancelled"


async def test_a_deletion_that_a_crash_broke_off_is_taken_up_again(intake: Intake) -> None:
    video_id = str((await intake.take(b"good")).video_id)
    await intake.take(b"other")
    deletion = await intake.database.write(lambda tx: deletions.request_video(tx, "ann", video_id))
    await intake.database.write(
        lambda tx: deletions.advance(tx, deletion.deletion_id, DeletionStatus.DELETING)
    )

    async with _running(intake.deleter.run()):
        await _until(lambda: _deleted(intake, video_id))

    assert [item.video_id != video_id for item in await intake.all_media()] == [True]
    assert len(intake.files()) == 1


async def test_deletions_of_the_same_bytes_at_once_leave_nothing(intake: Intake) -> None:
    jobs = [await intake.take(b"same") for _ in range(5)]
    assert len(intake.files()) == 1

    async with _running(intake.deleter.run()):
        for job in jobs:
            await _request(intake, str(job.video_id))
        intake.deleter.wake()
        for job in jobs:
            await _wait_deleted(intake, str(job.video_id))

    assert intake.files() == []
    assert await intake.all_media() == []


async def test_bytes_that_come_while_their_like_are_deleted_stay_whole(intake: Intake) -> None:
    async with _running(intake.deleter.run()):
        job = await intake.take(b"same")
        for _ in range(20):
            await _request(intake, str(job.video_id))
            intake.deleter.wake()
            job = await intake.take(b"same")
        await _until(lambda: _only_one_left(intake))

    [item] = await intake.all_media()
    assert intake.blobs.path(item.sha256).read_bytes() == b"same"


async def _imported(intake: Intake, job: ImportJob) -> None:
    """Import from URIs until a job has ended."""
    async with _running(intake.from_uris.run()):
        await _until(lambda: _ended(intake, job))


async def _ended(intake: Intake, job: ImportJob) -> bool:
    return (await intake.job(job.job_id)).status.terminal


async def _request(intake: Intake, video_id: str) -> None:
    await intake.database.write(lambda tx: deletions.request_video(tx, "ann", video_id))


async def _deleted(intake: Intake, video_id: str) -> bool:
    found = await intake.database.read(lambda c: deletions.fetch(c, "ann", video_id))
    return found.status is DeletionStatus.DELETED


async def _wait_deleted(intake: Intake, video_id: str) -> None:
    await _until(lambda: _deleted(intake, video_id))


async def _only_one_left(intake: Intake) -> bool:
    return not await intake.database.read(deletions.unfinished)
