"""Checks requests for retries and writes them; `Engine.retry` sets them going."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from sqlalchemy import Connection

from promptreel_server.domain.ids import RETRY, new_id, new_ids
from promptreel_server.domain.operation import Operation
from promptreel_server.domain.retry import Retry, RetryStatus
from promptreel_server.domain.run import Run
from promptreel_server.domain.segment import SegmentStatus, Shortfall
from promptreel_server.errors import (
    BeingDeleted,
    Conflict,
    FailureCode,
    NotFound,
    NotRetryable,
    PromptreelError,
    RetryInFlight,
    SegmentNotFailed,
)
from promptreel_server.store import feed
from promptreel_server.store.catalogue import media
from promptreel_server.store.runs import failure_manifest, retries, run_media, run_segments
from promptreel_server.store.schema.transaction import Transaction

MOST_AT_ONCE = 100_000
"""Segments that one request can retry."""


@dataclass(frozen=True, kw_only=True)
class RetryOrder:
    """What a caller asks for: the failed operations of one segment again."""

    owner_id: str
    video_id: str
    segment_id: str
    force: bool
    idempotency_key: str | None = None


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """A segment that a request for many leaves out, and why."""

    segment_id: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class _Grounds:
    """What a plan rests on: as long as it is the same, so is the plan.

    A segment that comes to something is told in the feed; retries that are asked for, and media
    items that are to be deleted, are not.
    """

    last_event: int
    under_way: frozenset[str]
    closed: Mapping[str, bool]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a request for many comes to, made while others write."""

    grounds: _Grounds
    asked: list[Retry]
    skipped: list[Skipped]


def retry_one(tx: Transaction, run: Run, order: RetryOrder) -> Retry:
    """Write a retry of one segment.

    Raises:
        NotFound: the run has no such segment of this media item, or the media item is gone.
        Conflict: the run is still going, or the media item is being deleted.
        SegmentNotFailed: there is nothing to retry.
        NotRetryable: a retry can't help, and `force` is not set.
        RetryInFlight: another retry of it is under way.
    """
    _check_free(tx.connection, run, order.segment_id)  # one of a stand-in lets the run go on
    _check_ended(run)
    media.fetch_open(tx.connection, order.owner_id, order.video_id)
    found = run_segments.fetch(tx.connection, run.run_id, order.video_id, order.segment_id)
    retry = Retry(
        retry_id=new_id(RETRY),
        run_id=run.run_id,
        video_id=order.video_id,
        segment_id=order.segment_id,
        owner_id=order.owner_id,
        status=RetryStatus.PENDING,
        operations=_operations(order.segment_id, found.shortfall, force=order.force),
        idempotency_key=order.idempotency_key,
        created_at=tx.now,
    )
    retries.add_all(tx, [retry])
    return retry


def retry_failed(
    tx: Transaction,
    run: Run,
    codes: tuple[FailureCode, ...],
    order: RetryOrder,
    plan: Plan | None = None,
) -> tuple[list[Retry], list[Skipped]]:
    """Write a retry for each segment that `plan_failed` names.

    A plan that was made before is taken where it still holds, else made anew. All retries are one
    change, with the memory of their answer: there is no half of a request, which a repetition would
    have to find and finish.

    Raises:
        Conflict: the run is still going.
    """
    _check_ended(run)
    if plan is None or plan.grounds != _grounds(tx.connection, run):
        plan = plan_failed(tx.connection, run, codes, order, tx.now)
    retries.add_all(tx, plan.asked)
    return plan.asked, plan.skipped


def plan_failed(
    connection: Connection,
    run: Run,
    codes: tuple[FailureCode, ...],
    order: RetryOrder,
    now: datetime,
) -> Plan:
    """Plan a retry for each segment that stands failed with one of these codes (none: any).

    Segments that were left undone are taken where `cancelled` is among the codes, and with `force`
    where no stop request but a failure of the whole run left them so.

    Raises:
        Conflict: the run is still going.
    """
    _check_ended(run)
    undone = FailureCode.CANCELLED in codes or (order.force and not codes and run.stop is None)
    grounds = _grounds(connection, run)
    found = failure_manifest.shortfalls(
        connection, run.run_id, codes, undone=undone, limit=MOST_AT_ONCE
    )
    verdict = _verdicts(force=order.force)
    plan = Plan(grounds=grounds, asked=[], skipped=[])
    retry_ids = new_ids(RETRY, len(found))
    for retry_id, (video_id, segment_id, shortfall) in zip(retry_ids, found, strict=True):
        operations, reason = verdict(shortfall)
        if video_id in grounds.closed:
            reason = NotFound.reason if grounds.closed[video_id] else BeingDeleted.reason
        elif segment_id in grounds.under_way:
            reason = RetryInFlight.reason
        if reason is not None:
            plan.skipped.append(Skipped(segment_id=segment_id, reason=reason))
            continue
        plan.asked.append(
            Retry(
                retry_id=retry_id,
                run_id=run.run_id,
                video_id=video_id,
                segment_id=segment_id,
                owner_id=order.owner_id,
                status=RetryStatus.PENDING,
                operations=operations,
                idempotency_key=order.idempotency_key,
                created_at=now,
            )
        )
    return plan


def _grounds(connection: Connection, run: Run) -> _Grounds:
    return _Grounds(
        last_event=feed.last_of_run(connection, run.run_id),
        under_way=retries.open_segments(connection, run.run_id),
        closed=run_media.closed(connection, run.run_id),
    )


_Verdict = tuple[tuple[Operation, ...], str | None]
"""The operations that a retry attempts, or the reason why there is none."""


def _verdicts(*, force: bool) -> Callable[[Shortfall], _Verdict]:
    """What the rules say of shortfalls, each asked about once: few differ."""

    @cache
    def verdict(shortfall: Shortfall) -> _Verdict:
        try:
            return _operations("", shortfall, force=force), None
        except PromptreelError as error:
            return (), error.reason

    return verdict


def _check_ended(run: Run) -> None:
    if not run.status.terminal:
        raise Conflict(
            f"Run {run.run_id} is still {run.status.value}; retry when it has ended.",
            details={"status": run.status.value},
        )


def _check_free(connection: Connection, run: Run, segment_id: str) -> None:
    under_way = retries.open_of(connection, run.run_id, segment_id)
    if under_way is not None:
        raise RetryInFlight(
            f"Retry {under_way.retry_id} of segment {segment_id} is under way; wait for it.",
            details={"retry_id": under_way.retry_id},
        )


def _operations(segment_id: str, shortfall: Shortfall, *, force: bool) -> tuple[Operation, ...]:
    """The operations that a retry attempts: those that failed or were left undone."""
    lacks = shortfall.undone or shortfall.before_any
    if shortfall.status is SegmentStatus.COMPLETED or not lacks:
        raise SegmentNotFailed(f"Segment {segment_id} has not failed; there is nothing to retry.")
    if shortfall.status is SegmentStatus.CANCELLED and not shortfall.begun and not force:
        raise SegmentNotFailed(f"Segment {segment_id} was never begun; execute the prompt again.")
    if shortfall.codes and not force and not shortfall.retryable:
        code = shortfall.codes[0].value
        raise NotRetryable(
            f"Segment {segment_id} failed with {code}, which a retry is not "
            "expected to mend; force tries it all the same.",
            details={"failure_code": code},
        )
    return shortfall.undone
