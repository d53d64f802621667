from dataclasses import replace
from datetime import UTC, datetime

import pytest

from promptreel_server.domain.ids import JOB, new_id
from promptreel_server.domain.import_job import ImportJob, ImportStatus, SourceKind
from promptreel_server.domain.page import Slice
from promptreel_server.errors import NotFound
from promptreel_server.store.catalogue import import_jobs
from promptreel_server.store.database.database import Database
from promptreel_server.store.schema.transaction import Transaction

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def _job(owner: str = "ann", status: ImportStatus = ImportStatus.PENDING) -> ImportJob:
    return ImportJob(
        job_id=new_id(JOB),
        owner_id=owner,
        status=status,
        source_kind=SourceKind.URI,
        file_id="file_1",
        file_name="harbour.mp4",
        title="Harbour",
        index_id=None,
        source_uri="file:///media/harbour.mp4",
        created_at=NOW,
    )


async def _keep(database: Database, *jobs: ImportJob) -> None:
    def keep(tx: Transaction) -> None:
        for job in jobs:
            import_jobs.insert_job(tx, job)

    await database.write(keep)


async def test_a_job_comes_back_as_it_was_kept_and_to_its_owner_alone(database: Database) -> None:
    job = _job()
    await _keep(database, job)

    assert await database.read(lambda c: import_jobs.fetch(c, "ann", job.job_id)) == job
    with pytest.raises(NotFound, match=job.job_id):
        await database.read(lambda c: import_jobs.fetch(c, "bob", job.job_id))


async def test_a_job_moves_on(database: Database) -> None:
    job = _job()
    await _keep(database, job)
    moved = replace(job, status=ImportStatus.IMPORTING, started_at=NOW, bytes_transferred=12)

    saved = await database.write(lambda tx: import_jobs.put(tx, moved))

    assert saved == moved


async def test_a_job_that_was_cancelled_is_not_brought_back_by_late_news(
    database: Database,
) -> None:
    job = _job()
    await _keep(database, job)
    cancelled = replace(job, status=ImportStatus.CANCELLED, completed_at=NOW)
    await database.write(lambda tx: import_jobs.put(tx, cancelled))

    late = replace(job, status=ImportStatus.COMPLETED, video_id="vid_1")
    saved = await database.write(lambda tx: import_jobs.put(tx, late))

    assert saved == cancelled


async def test_a_job_that_is_opened_again_keeps_nothing_of_its_last_try(
    database: Database,
) -> None:
    job = _job()
    failed = replace(
        job,
        status=ImportStatus.FAILED,
        started_at=NOW,
        completed_at=NOW,
        error_message="unreadable",
        bytes_transferred=5,
        total_bytes=5,
    )
    await _keep(database, failed)

    await database.write(lambda tx: import_jobs.reopen(tx, failed))

    assert await database.read(lambda c: import_jobs.fetch(c, "ann", job.job_id)) == job


async def test_jobs_are_paged_newest_first_and_by_status(database: Database) -> None:
    done = [_job(status=ImportStatus.COMPLETED) for _ in range(3)]
    await _keep(database, *done, _job(status=ImportStatus.FAILED), _job("bob"))

    newest = sorted((job.job_id for job in done), reverse=True)
    first = await database.read(
        lambda c: import_jobs.list_jobs(c, "ann", Slice(limit=2), status=ImportStatus.COMPLETED)
    )
    second = await database.read(
        lambda c: import_jobs.list_jobs(
            c, "ann", Slice(limit=2, after=first.after), status=ImportStatus.COMPLETED
        )
    )
    assert [job.job_id for job in (*first.items, *second.items)] == newest
    assert second.after is None


async def test_jobs_that_have_not_ended_are_found_after_a_restart(database: Database) -> None:
    waiting, working = _job(), _job("bob", ImportStatus.IMPORTING)
    await _keep(database, waiting, working, _job(status=ImportStatus.CANCELLED))

    found = await database.read(import_jobs.unfinished)

    assert {job.job_id for job in found} == {waiting.job_id, working.job_id}
