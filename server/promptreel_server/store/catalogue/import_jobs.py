"""Import jobs: how bytes become a media item."""

from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from promptreel_server.domain.import_job import ImportJob, ImportStatus
from promptreel_server.domain.page import Page, Slice
from promptreel_server.errors import NotFound
from promptreel_server.store.schema.keyset_paging import page
from promptreel_server.store.schema.tables import import_jobs
from promptreel_server.store.schema.transaction import Transaction

_OPEN = (ImportStatus.PENDING, ImportStatus.SCANNING, ImportStatus.IMPORTING)


def insert_job(tx: Transaction, job: ImportJob) -> None:
    """Keep a new job."""
    tx.execute(insert(import_jobs).values(**_values(job)))


def put(tx: Transaction, job: ImportJob) -> ImportJob:
    """Write how a job stands now, a new one too; one that has ended meanwhile stays as it is.

    Answers the job as it is stored afterwards.
    """
    here = import_jobs.c.job_id == job.job_id
    status = tx.execute(select(import_jobs.c.status).where(here)).scalar()
    if status is None:
        insert_job(tx, job)
    elif status in _OPEN:
        tx.execute(update(import_jobs).where(here).values(**_values(job)))
    return fetch(tx.connection, job.owner_id, job.job_id)


def reopen(tx: Transaction, job: ImportJob) -> ImportJob:
    """Make a job that has ended wait again, with nothing of its last try left."""
    waiting = replace(
        job,
        status=ImportStatus.PENDING,
        started_at=None,
        completed_at=None,
        error_message=None,
        bytes_transferred=0,
        total_bytes=None,
    )
    statement = update(import_jobs).where(import_jobs.c.job_id == job.job_id)
    tx.execute(statement.values(**_values(waiting)))
    return waiting


def fetch(connection: Connection, owner_id: str, job_id: str) -> ImportJob:
    """Answer one job of an owner.

    Raises:
        NotFound: the owner has no such job.
    """
    statement = select(import_jobs).where(
        import_jobs.c.job_id == job_id, import_jobs.c.owner_id == owner_id
    )
    row = connection.execute(statement).one_or_none()
    if row is None:
        raise NotFound(
            f"No import job {job_id}; list the import jobs to see which there are.",
            details={"job_id": job_id},
        )
    return _job(row)


def list_jobs(
    connection: Connection, owner_id: str, wanted: Slice, *, status: ImportStatus | None = None
) -> Page[ImportJob]:
    """Answer a page of an owner's jobs, newest first."""
    statement = (
        select(import_jobs)
        .where(import_jobs.c.owner_id == owner_id)
        .order_by(import_jobs.c.job_id.desc())
    )
    if status is not None:
        statement = statement.where(import_jobs.c.status == status)
    if wanted.after is not None:
        statement = statement.where(import_jobs.c.job_id < wanted.after[0])
    return page(connection, statement, wanted, item=_job, position=lambda row: (str(row.job_id),))


def unfinished(connection: Connection) -> list[ImportJob]:
    """Answer the jobs of all owners that have not ended, oldest first."""
    statement = (
        select(import_jobs).where(import_jobs.c.status.in_(_OPEN)).order_by(import_jobs.c.job_id)
    )
    return [_job(row) for row in connection.execute(statement)]


def _values(job: ImportJob) -> dict[str, Any]:
    return {column.name: getattr(job, column.name) for column in import_jobs.columns}


def _job(row: Row[Any]) -> ImportJob:
    return ImportJob(**row._mapping)
