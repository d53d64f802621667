"""How far runs that are going have come, and what is written of those that come no further."""

from dataclasses import dataclass

from sqlalchemy import Connection, func, select, update

from promptreel_server.domain.event import EventType
from promptreel_server.domain.run import RunStatus
from promptreel_server.store import feed
from promptreel_server.store.schema.tables import events, runs
from promptreel_server.store.schema.transaction import Transaction

_OPEN = (RunStatus.PENDING, RunStatus.PROCESSING)


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How far a run that is going has come: the last sequence of its events tells."""

    run_id: str
    processing_model: str
    sequence: int
    processing_warning: str | None


def going(connection: Connection) -> list[Standing]:
    """Answer how far each run that has not ended has come."""
    last = (
        select(func.max(events.c.sequence))
        .where(events.c.run_id == runs.c.run_id)
        .scalar_subquery()
    )
    statement = select(
        runs.c.run_id, runs.c.settings, runs.c.processing_warning, func.coalesce(last, 0)
    ).where(runs.c.status.in_(_OPEN))
    return [
        Standing(
            run_id=run_id,
            processing_model=settings["processing_model"],
            sequence=sequence,
            processing_warning=warning,
        )
        for run_id, settings, warning, sequence in connection.execute(statement)
    ]


def warn(tx: Transaction, run_id: str, warning: str | None) -> int:
    """Write why a run makes no progress, None where it makes some again; tell it if it is going.

    Answers the sequence of what was told, 0 where nothing was.
    """
    row = tx.execute(
        update(runs)
        .where(runs.c.run_id == run_id, runs.c.status.in_(_OPEN))
        .values(processing_warning=warning)
        .returning(runs.c.owner_id, runs.c.index_id)
    ).one_or_none()
    if row is None:
        return 0
    return feed.append(
        tx,
        row.owner_id,
        EventType.RUN_PROGRESS,
        run_id=run_id,
        index_id=row.index_id,
        payload={"processing_warning": warning},
    )
