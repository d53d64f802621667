"""Imports: bytes become media items, from an upload or from a file below a media root."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import Connection

from promptreel_server.domain import texts
from promptreel_server.domain.event import EventType
from promptreel_server.domain.ids import JOB, VIDEO, new_id
from promptreel_server.domain.import_job import ImportJob, ImportStatus, SourceKind
from promptreel_server.domain.media import MediaFacts, MediaItem, MediaStatus
from promptreel_server.engine.library.deletion import bytes_held, drop_unused
from promptreel_server.errors import (
    Conflict,
    Invalid,
    MediaUnavailable,
    PromptreelError,
    RateLimited,
    TooLarge,
    Unavailable,
    UnsupportedMedia,
)
from promptreel_server.media.blobs import BlobStore, BlobWriter, Sealed
from promptreel_server.store import feed
from promptreel_server.store.catalogue import import_jobs, indexes, media
from promptreel_server.store.database.database import Database
from promptreel_server.store.schema.transaction import Transaction

LONGEST_TITLE = 255
_LONGEST_FILE_NAME = 255
_FILE_ID = "file_0"
"""A job has one file, so its id need only tell it from those that may come beside it."""

Probe = Callable[[Path], Awaitable[MediaFacts]]
"""Finds out what a file holds; raises UnsupportedMedia where it can't be decoded."""

Remember = Callable[[Transaction, ImportJob], None]
"""Called in the transaction that ends a job."""


@dataclass(frozen=True, kw_only=True)
class ImportLimits:
    """How much may come in."""

    most_bytes: int
    """Of one media item."""
    quota_bytes: int
    """Of all media of one owner, where the same bytes count once."""
    most_items: int
    """Media items of one owner."""
    at_once: int
    """Uploads of one owner that come in at the same time."""


@dataclass(frozen=True, kw_only=True)
class Upload:
    """What bytes are to become."""

    owner_id: str
    title: str
    index_id: str | None
    file_name: str
    """What it was called where it comes from: shown, never trusted."""


class Imports:
    """Makes media items of bytes: probed, kept once, told in the feed, or refused without trace."""

    def __init__(
        self, database: Database, blobs: BlobStore, probe: Probe, limits: ImportLimits
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._probe = probe
        self._limits = limits
        self._coming: Counter[str] = Counter()

    def check(self, connection: Connection, upload: Upload) -> None:
        """Refuse what can't become a media item, whatever its bytes.

        Raises:
            Invalid: the title is empty or too long.
            NotFound, BeingDeleted: the index can't take it.
        """
        texts.require("title", upload.title, 1, LONGEST_TITLE)
        if upload.index_id is not None:
            indexes.fetch_open(connection, upload.owner_id, upload.index_id)

    def new_job(self, upload: Upload, kind: SourceKind, uri: str | None = None) -> ImportJob:
        """Make a job that has not begun."""
        return ImportJob(
            job_id=new_id(JOB),
            owner_id=upload.owner_id,
            status=ImportStatus.PENDING,
            source_kind=kind,
            file_id=_FILE_ID,
            file_name=_bare_name(upload.file_name),
            title=upload.title,
            index_id=upload.index_id,
            source_uri=uri,
            created_at=self._database.clock(),
        )

    async def writer(
        self, owner_id: str, *, again: bool = False, upload: bool = True
    ) -> AbstractAsyncContextManager[BlobWriter]:
        """Begin to take in bytes of an owner; leaving the block forgets what was not kept.

        `again`: they are only compared with what came before, and need no room. `upload`: they are
        one of the uploads that may come in at the same time; an import has had its turn already.

        Raises:
            TooLarge: the owner's quota is spent.
            RateLimited: too many uploads of the owner come in already.
        """
        limits = self._limits
        used = await self._database.read(lambda c: media.used(c, owner_id))
        if used.items >= limits.most_items and not again:
            raise _too_many(used)
        room = limits.most_bytes if again else limits.quota_bytes - used.bytes
        if room <= 0:
            raise self._too_much(used)
        if upload and self._coming[owner_id] >= limits.at_once:
            raise RateLimited(
                f"{limits.at_once} uploads of yours come in already; wait for one to end.",
                retry_after=5.0,
            )
        refusal = _no_room(room) if room < limits.most_bytes else None
        opened = self._blobs.writer(limit=min(room, limits.most_bytes), refusal=refusal)
        return self._counted(owner_id, opened) if upload else opened

    @asynccontextmanager
    async def _counted(
        self, owner_id: str, opened: AbstractAsyncContextManager[BlobWriter]
    ) -> AsyncIterator[BlobWriter]:
        self._coming[owner_id] += 1
        try:
            async with opened as writer:
                yield writer
        finally:
            self._coming[owner_id] -= 1
            if not self._coming[owner_id]:
                del self._coming[owner_id]

    async def finish(
        self, job: ImportJob, writer: BlobWriter, remember: Remember | None = None
    ) -> ImportJob:
        """Make a media item of the bytes that have come, or end the job as failed.

        Answers the job as it is stored. What can't be decoded leaves no media item and no bytes.

        Raises:
            Invalid: there are no bytes.
            NotFound, BeingDeleted: the index went away meanwhile.
            TooLarge: what came in beside it has used up the owner's quota.
            Unavailable: the bytes could not be looked at just then.
        """
        sealed = await writer.seal()
        if not sealed.size:
            raise Invalid.field("file", "is empty; choose one that has content")
        begun = replace(job, bytes_transferred=sealed.size, total_bytes=sealed.size)
        try:
            facts = await self._probe(sealed.path)
        except UnsupportedMedia as error:
            return await self._end(begun, ImportStatus.FAILED, remember, error.message)
        except MediaUnavailable as error:  # says nothing of the file: to be sent again
            raise Unavailable(error.message, retry_after=5.0) from error
        async with bytes_held(self._database, self._blobs, sealed.sha256):
            await writer.keep()
            try:
                return await self._admit(begun, sealed, facts, remember)
            except asyncio.CancelledError:  # the row may be queued, and is written all the same
                with suppress(PromptreelError):
                    await self._database.write(lambda _: None)
                raise
            finally:
                await drop_unused(self._database, self._blobs, sealed.sha256)

    async def fail(self, job: ImportJob, why: str) -> ImportJob:
        """End a job as failed."""
        return await self._end(job, ImportStatus.FAILED, None, why)

    async def _admit(
        self, job: ImportJob, sealed: Sealed, facts: MediaFacts, remember: Remember | None
    ) -> ImportJob:
        item = _media_item(job, sealed, facts)

        def change(tx: Transaction) -> ImportJob:
            if job.index_id is not None:
                indexes.fetch_open(tx.connection, job.owner_id, job.index_id)
            done = replace(
                job,
                status=ImportStatus.COMPLETED,
                started_at=job.started_at or job.created_at,
                completed_at=tx.now,
                video_id=item.video_id,
                duration_seconds=float(facts.duration),
            )
            saved = import_jobs.put(tx, done)
            if saved.status is ImportStatus.COMPLETED:  # else it was cancelled meanwhile
                media.insert_item(tx, replace(item, created_at=tx.now))
                self._check_quota(media.used(tx.connection, item.owner_id))
                tell(tx, saved, EventType.IMPORT_COMPLETED)
            if remember is not None:
                remember(tx, saved)
            return saved

        return await self._database.write(change)

    def _check_quota(self, used: media.Used) -> None:
        """Refuse what made it too much: uploads that came in together each found room."""
        if used.items > self._limits.most_items:
            raise _too_many(used)
        over = used.bytes - self._limits.quota_bytes
        if over > 0:
            raise TooLarge(
                f"With it your media would take {over} bytes more than the "
                f"{self._limits.quota_bytes} that they may; delete some first."
            )

    def _too_much(self, used: media.Used) -> TooLarge:
        quota = self._limits.quota_bytes
        return TooLarge(f"Your media take {used.bytes} of {quota} bytes; delete some first.")

    async def _end(
        self, job: ImportJob, status: ImportStatus, remember: Remember | None, why: str
    ) -> ImportJob:
        def change(tx: Transaction) -> ImportJob:
            ended = replace(
                job,
                status=status,
                started_at=job.started_at or job.created_at,
                completed_at=tx.now,
                error_message=why,
            )
            saved = import_jobs.put(tx, ended)
            if saved.status is status:
                tell(tx, saved, EventType.IMPORT_FAILED)
            if remember is not None:
                remember(tx, saved)
            return saved

        return await self._database.write(change)


def _no_room(room: int) -> str:
    return f"The file is larger than the {room} bytes that you have left; delete some media first."


def _too_many(used: media.Used) -> TooLarge:
    return TooLarge(f"You keep {used.items} media items, all that you may; delete some first.")


def tell(tx: Transaction, job: ImportJob, event_type: EventType) -> None:
    """Tell the owner how a job stands."""
    feed.append(
        tx,
        job.owner_id,
        event_type,
        video_id=job.video_id,
        index_id=job.index_id,
        payload={
            "job_id": job.job_id,
            "status": job.status.value,
            "file_name": job.file_name,
            "bytes_transferred": job.bytes_transferred,
            "error_message": job.error_message,
        },
    )


def retryable(job: ImportJob) -> ImportJob:
    """Answer a job that can be tried again.

    Raises:
        Conflict: it is under way or complete, or its bytes are gone.
    """
    if not job.status.terminal or job.status is ImportStatus.COMPLETED:
        raise Conflict(
            f"Import job {job.job_id} is {job.status.value}; only a failed or cancelled one "
            "can be tried again.",
            details={"job_id": job.job_id, "status": job.status.value},
        )
    if job.source_kind is SourceKind.UPLOAD:
        raise Conflict(
            f"The bytes of upload {job.job_id} are gone; upload the file again.",
            details={"job_id": job.job_id},
        )
    return job


def _media_item(job: ImportJob, sealed: Sealed, facts: MediaFacts) -> MediaItem:
    video_id = new_id(VIDEO)
    return MediaItem(
        video_id=video_id,
        owner_id=job.owner_id,
        index_id=job.index_id,
        title=job.title,
        source_uri=job.source_uri or f"promptreel://media/{video_id}",
        status=MediaStatus.NOT_PROCESSED,
        sha256=sealed.sha256,
        size_bytes=sealed.size,
        facts=facts,
        created_at=job.created_at,
    )


def _bare_name(file_name: str) -> str:
    """Keep the last part of a name, whichever slash its system uses, without control characters."""
    last = file_name.replace("\\", "/").rsplit("/", 1)[-1]
    return "".join(c for c in last if c.isprintable())[-_LONGEST_FILE_NAME:] or "upload"
