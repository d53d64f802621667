"""An older drive, or an older performer of a retry, writes nothing and asks nothing more."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from fractions import Fraction

import pytest
from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError

from promptreel_server.domain.event import EventType
from promptreel_server.domain.ids import SEGMENT, SEGMENTATION, new_id
from promptreel_server.domain.media import MediaItem
from promptreel_server.domain.operation import Operation, OperationStatus
from promptreel_server.domain.page import Slice
from promptreel_server.domain.retry import Retry, RetryStatus
from promptreel_server.domain.run import Run, RunMedia, RunStatus
from promptreel_server.domain.segment import Segment
from promptreel_server.engine.admission import retry_orders
from promptreel_server.engine.admission.retry_orders import RetryOrder
from promptreel_server.errors import FailureCode
from promptreel_server.extractors.canned.extractor import CannedScript, Fault
from promptreel_server.store.analysis import segmentations
from promptreel_server.store.analysis.segmentations import Segmentation, Superseded
from promptreel_server.store.database.database import Database
from promptreel_server.store.runs import (
    counter_audit,
    llm_calls,
    retries,
    run_media,
    run_segments,
)
from promptreel_server.store.runs.llm_calls import CallFilter
from promptreel_server.store.runs.run_media import IncompletePlan
from promptreel_server.store.schema.tables import events, segments
from promptreel_server.store.schema.tables import run_segments as planned
from promptreel_server.store.schema.transaction import Fenced, Transaction
from tests.engines import OWNER, Rig, rig
from tests.eventually import eventually

EVERYTHING = Slice(limit=1000)
STATES = dict.fromkeys(Operation, OperationStatus.PENDING)


@pytest.fixture
async def running(database: Database) -> AsyncIterator[Rig]:
    async with rig(database) as made:
        yield made


def _cut(video: MediaItem, count: int = 3) -> tuple[Segmentation, list[Segment]]:
    """A segmentation of a media item that is not stored yet."""
    found = Segmentation(
        segmentation_id=new_id(SEGMENTATION),
        video_id=video.video_id,
        fingerprint="cut so",
        segment_count=count,
    )
    made = [
        Segment(
            segment_id=new_id(SEGMENT),
            video_id=video.video_id,
            ordinal=ordinal,
            start=Fraction(ordinal),
            end=Fraction(ordinal + 1),
        )
        for ordinal in range(count)
    ]
    return found, made


async def _stored(database: Database, video: MediaItem) -> Segmentation:
    found, made = _cut(video)

    def store(tx: Transaction) -> None:
        segmentations.begin(tx, found)
        segmentations.add(tx, found.segmentation_id, made)
        segmentations.complete(tx, found)

    await database.write(store)
    return found


async def test_a_complete_segmentation_is_adopted_and_never_removed(running: Rig) -> None:
    video = await running.add(seconds=3)
    first = await _stored(running.database, video)
    again, _ = _cut(video)
    with pytest.raises(Superseded):
        await running.database.write(lambda tx: segmentations.begin(tx, again))
    found = await running.database.read(
        lambda c: segmentations.find(c, video.video_id, first.fingerprint)
    )
    assert found == first


async def test_who_stores_a_cut_that_another_server_took_over_is_told(running: Rig) -> None:
    """The second begins anew what the first left open; the first may not seal its half."""
    video = await running.add(seconds=3)
    (first, made), (second, _) = _cut(video), _cut(video)

    def begin(tx: Transaction) -> None:
        segmentations.begin(tx, first)
        segmentations.add(tx, first.segmentation_id, made[:1])

    await running.database.write(begin)
    await running.database.write(lambda tx: segmentations.begin(tx, second))
    with pytest.raises(Superseded):
        await running.database.write(
            lambda tx: segmentations.require_open(tx, first.segmentation_id)
        )
    with pytest.raises(Superseded):
        await running.database.write(lambda tx: segmentations.complete(tx, first))


async def test_segments_that_a_run_refers_to_can_not_be_deleted(running: Rig) -> None:
    video = await running.add(seconds=10)
    run = await running.execute(await running.prompt(), [video])
    await running.ended(run.run_id)
    with pytest.raises(IntegrityError):
        await running.database.write(
            lambda tx: tx.execute(delete(segments).where(segments.c.video_id == video.video_id))
        )


async def test_a_plan_that_lacks_segments_is_not_written(running: Rig) -> None:
    video = await running.add(seconds=3)
    found = await _stored(running.database, video)
    run = await running.accept(running.order(await running.prompt(), [video]))

    def plan(tx: Transaction) -> None:
        held = run_media.claim(tx, run, video.video_id)
        assert held is not None
        run_media.plan(tx, held, found.segmentation_id, range(4), STATES)

    with pytest.raises(IncompletePlan):
        await running.database.write(plan)


async def test_an_older_drive_can_neither_clear_nor_write_a_plan(database: Database) -> None:
    async with rig(database) as ordering:
        video = await ordering.add(seconds=3)
        found = await _stored(database, video)
        ordering.engine.drain()
        run = await ordering.accept(ordering.order(await ordering.prompt(), [video]))

    def twice(tx: Transaction) -> tuple[RunMedia, RunMedia]:
        older = run_media.claim(tx, run, video.video_id)
        newer = run_media.claim(tx, run, video.video_id)
        assert older is not None
        assert newer is not None
        run_media.plan(tx, newer, found.segmentation_id, range(3), STATES)
        return older, newer

    older, _ = await database.write(twice)
    with pytest.raises(Fenced):
        await database.write(lambda tx: run_media.clear_plan(tx, older))
    with pytest.raises(Fenced):
        await database.write(
            lambda tx: run_media.plan(tx, older, found.segmentation_id, range(3), STATES)
        )
    count = select(func.count()).select_from(planned).where(planned.c.run_id == run.run_id)
    assert await database.read(lambda c: c.execute(count).scalar()) == 3


async def test_a_fenced_drive_asks_nothing_more_and_what_it_paid_is_on_record(
    running: Rig,
) -> None:
    running.canned.change(CannedScript(latency_seconds=0.1))
    bounds = replace(running.means.bounds, segments_in_flight=4)
    object.__setattr__(running.means, "bounds", bounds)
    video = await running.add(seconds=200)
    run = await running.execute(await running.prompt(), [video], seconds=1)
    await running.asked()
    await running.database.write(lambda tx: run_media.claim(tx, run, video.video_id))
    asked = running.canned.asked
    await asyncio.sleep(1.0)
    assert running.canned.asked <= asked + 2 * 4, "no more than those in flight and their like"

    async def all_on_record() -> bool:
        return await _calls(running, run) == running.canned.asked

    assert await eventually(all_on_record)


async def _calls(running: Rig, run: Run) -> int:
    page = await running.database.read(
        lambda c: llm_calls.page(c, run.run_id, CallFilter(), EVERYTHING)
    )
    return len(page.items)


async def _failed_run(running: Rig) -> tuple[Run, MediaItem, Retry]:
    running.canned.change(
        CannedScript(faults=(Fault(failure_code=FailureCode.SCHEMA_INVALID, attempts=(1,)),))
    )
    video = await running.add(seconds=5)
    run = await running.execute(await running.prompt(), [video], seconds=5)
    ended = await running.ended(run.run_id)
    page = await running.database.read(
        lambda c: run_segments.results(c, run.run_id, video.video_id, EVERYTHING)
    )
    order = RetryOrder(
        owner_id=OWNER,
        video_id=video.video_id,
        segment_id=page.items[0].segment.segment_id,
        force=True,
    )
    retry = await running.database.write(lambda tx: retry_orders.retry_one(tx, ended, order))
    return ended, video, retry


async def test_two_performers_of_one_retry_end_it_once(database: Database) -> None:
    async with rig(database) as running:
        _, _, retry = await _failed_run(running)
        running.engine.drain()

    def taken(tx: Transaction) -> Retry | None:
        found = retries.load(tx.connection, retry.retry_id)
        return None if found is None else retries.start(tx, found)

    first, second = await database.write(taken), await database.write(taken)
    assert first is not None
    assert second is not None
    with pytest.raises(Fenced):
        await database.write(lambda tx: retries.end(tx, first, RetryStatus.FAILED, {}))
    with pytest.raises(Fenced):
        await database.write(lambda tx: retries.note(tx, first, {}))
    await database.write(lambda tx: retries.end(tx, second, RetryStatus.COMPLETED, {}))
    with pytest.raises(Fenced):
        await database.write(lambda tx: retries.end(tx, second, RetryStatus.FAILED, {}))
    ends = (EventType.RETRY_COMPLETED, EventType.RETRY_FAILED)
    told = await database.read(
        lambda c: c.execute(
            select(func.count()).select_from(events).where(events.c.event_type.in_(ends))
        ).scalar()
    )
    assert told == 1


async def test_a_retry_that_was_taken_over_meanwhile_changes_nothing(running: Rig) -> None:
    run, video, retry = await _failed_run(running)
    running.canned.change(CannedScript(latency_seconds=0.3))
    before = running.canned.asked
    await running.engine.retry([retry])

    async def asked() -> bool:
        return running.canned.asked > before

    await eventually(asked)

    def take_over(tx: Transaction) -> Retry | None:
        found = retries.load(tx.connection, retry.retry_id)
        return None if found is None else retries.start(tx, found)

    mine = await running.database.write(take_over)
    assert mine is not None
    await asyncio.sleep(1.0)
    page = await running.database.read(
        lambda c: run_segments.results(c, run.run_id, video.video_id, EVERYTHING)
    )
    assert page.items[0].metadata is None, "the result of the fenced performer was not written"
    assert await _calls(running, run) == running.canned.asked, "but its call was paid"


async def test_runs_at_once_over_the_same_media_share_one_cut(running: Rig) -> None:
    videos = [await running.add(seconds=20, content=str(n)) for n in range(4)]
    prompts = [await running.prompt(), await running.prompt()]
    ordered = await asyncio.gather(*(running.execute(one, videos) for one in prompts))
    for run in ordered:
        ended = await running.ended(run.run_id)
        assert ended.status is RunStatus.COMPLETED
        listed = 0
        for video in videos:
            page = await running.database.read(
                lambda c, run=run, video=video: run_segments.results(  # type: ignore[misc]
                    c, run.run_id, video.video_id, EVERYTHING
                )
            )
            listed += sum(one.metadata is not None for one in page.items)
        assert listed == ended.completed_segments == ended.total_segments
    assert await running.database.read(counter_audit.miscounts) == []
