"""Imports from URIs: accepted at once, done in the background, taken up again after a crash."""

import asyncio
import logging
import os
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

from promptreel_server.concurrency.supervision import unbroken, woken
from promptreel_server.domain.event import EventType
from promptreel_server.domain.import_job import ImportJob, ImportStatus, SourceKind
from promptreel_server.engine.library.media_imports import Imports, Upload, retryable, tell
from promptreel_server.errors import MediaUnavailable, PromptreelError, StoreUnavailable
from promptreel_server.media.blobs import BlobWriter
from promptreel_server.media.library import opened_below, resolve_uri
from promptreel_server.store.catalogue import import_jobs, indexes
from promptreel_server.store.database.database import Database
from promptreel_server.store.schema.transaction import Transaction

log = logging.getLogger(__name__)

AT_ONCE = 2
AGAIN_AFTER = 5.0
"""Seconds until a job that the store broke is tried again."""
LOOK_AGAIN = 30.0
"""Seconds between looks for jobs that nobody told of."""
_PIECE = 1 << 20
_TOLD_EVERY_SECONDS = 2.0


class UriImports:
    """Accepts, runs, cancels and repeats imports of files that the server can read."""

    def __init__(self, database: Database, imports: Imports, roots: Sequence[Path]) -> None:
        self._database = database
        self._imports = imports
        self._roots = roots
        self._wake = asyncio.Event()
        self._running: dict[str, asyncio.Task[None]] = {}

    async def check(self, uri: str) -> str:
        """Answer the name of the file that a URI names.

        Raises:
            Invalid: it is not allowed, or there is no such file.
        """
        return (await asyncio.to_thread(resolve_uri, uri, self._roots)).name

    def accept(self, tx: Transaction, upload: Upload, uri: str) -> ImportJob:
        """Write a job that waits; `wake` sets it going."""
        self._imports.check(tx.connection, upload)
        job = self._imports.new_job(upload, SourceKind.URI, uri)
        import_jobs.insert_job(tx, job)
        return job

    def cancel(self, tx: Transaction, owner_id: str, job_id: str) -> ImportJob:
        """Write that a job is cancelled, unless it has ended; `stop` makes it felt at once.

        Raises:
            NotFound: the owner has no such job.
        """
        job = import_jobs.fetch(tx.connection, owner_id, job_id)
        if job.status.terminal:
            return job
        saved = import_jobs.put(
            tx, replace(job, status=ImportStatus.CANCELLED, completed_at=tx.now)
        )
        tell(tx, saved, EventType.IMPORT_FAILED)
        return saved

    def retry(self, tx: Transaction, owner_id: str, job_id: str) -> ImportJob:
        """Make a job that failed or was cancelled wait again.

        Raises:
            NotFound, Conflict: there is no such job, or it can't be tried again.
        """
        ended = retryable(import_jobs.fetch(tx.connection, owner_id, job_id))
        waiting = import_jobs.reopen(tx, ended)
        tell(tx, waiting, EventType.IMPORT_PROGRESS)
        return waiting

    def wake(self) -> None:
        """Look for jobs that wait."""
        self._wake.set()

    def stop(self, job_id: str) -> None:
        """Stop a job that runs here; nothing where it does not."""
        task = self._running.get(job_id)
        if task is not None:
            task.cancel()

    async def run(self) -> None:
        """Do the jobs that wait, those of an earlier process first; runs until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._wake.clear()
                with unbroken("looking for imports"):
                    for job in await self._database.read(import_jobs.unfinished):
                        await self._begin_one(tasks, job)
                await woken(self._wake, LOOK_AGAIN)

    async def _begin_one(self, tasks: asyncio.TaskGroup, job: ImportJob) -> None:
        if len(self._running) >= AT_ONCE or job.job_id in self._running:
            return
        async with AsyncExitStack() as stack:
            if await stack.enter_async_context(
                self._database.peers.hold(f"import {job.job_id}")
            ):  # else another server is at it
                work = self._perform(job, stack.pop_all())
                task = tasks.create_task(work, name=f"import {job.job_id}")
                self._running[job.job_id] = task
                task.add_done_callback(partial(self._ended, job.job_id))

    def _ended(self, job_id: str, _task: "asyncio.Task[None]") -> None:
        del self._running[job_id]
        self._wake.set()

    async def _perform(self, job: ImportJob, held: AsyncExitStack) -> None:
        with unbroken(f"import job {job.job_id}"):
            async with held:
                await self._attempt(job)

    async def _attempt(self, job: ImportJob) -> None:
        try:
            await self._import(job)
        except StoreUnavailable:
            await asyncio.sleep(AGAIN_AFTER)  # the job stands as it was, and is begun again
            raise
        except PromptreelError as error:
            await self._imports.fail(job, error.message)
        except Exception:
            log.exception("import job %s failed", job.job_id)
            await self._imports.fail(job, "The server failed; its log tells why.")

    async def _import(self, job: ImportJob) -> None:
        path = await asyncio.to_thread(resolve_uri, job.source_uri or "", self._roots)
        size = await asyncio.to_thread(lambda: path.stat().st_size)
        begun = await self._begin(job, size)
        if begun.status.terminal:
            return
        async with await self._imports.writer(job.owner_id, upload=False) as writer:
            await self._copy(path, writer, begun)
            await self._imports.finish(begun, writer)

    async def _begin(self, job: ImportJob, size: int) -> ImportJob:
        def change(tx: Transaction) -> ImportJob:
            if job.index_id is not None:  # it may have gone while the job waited
                indexes.fetch_open(tx.connection, job.owner_id, job.index_id)
            begun = replace(job, status=ImportStatus.IMPORTING, started_at=tx.now, total_bytes=size)
            saved = import_jobs.put(tx, begun)
            if not saved.status.terminal:
                tell(tx, saved, EventType.IMPORT_STARTED)
            return saved

        return await self._database.write(change)

    async def _copy(self, path: Path, writer: BlobWriter, job: ImportJob) -> None:
        """Copy a file piece by piece, and tell now and then how far it has come.

        Raises:
            MediaUnavailable: it is no longer there, or not as long as it was.
        """
        copied, told = 0, time.monotonic()
        with opened_below(path, self._roots) as file:
            while piece := await asyncio.to_thread(os.read, file, _PIECE):
                await writer.write(piece)
                copied += len(piece)
                if time.monotonic() - told >= _TOLD_EVERY_SECONDS:
                    told = time.monotonic()
                    await self._tell_progress(replace(job, bytes_transferred=copied))
        if copied != job.total_bytes:
            raise MediaUnavailable("The file changed while it was copied; try again once it rests.")

    async def _tell_progress(self, job: ImportJob) -> None:
        def change(tx: Transaction) -> None:
            if not import_jobs.put(tx, job).status.terminal:
                tell(tx, job, EventType.IMPORT_PROGRESS)

        await self._database.write(change)
