"""A media item that could not be cut, retried: it is cut anew by the retry, and by it alone."""

from collections.abc import AsyncIterator

import pytest

from promptreel_server.domain.page import Slice
from promptreel_server.domain.retry import Retry, RetryStatus
from promptreel_server.domain.run import Run, RunStatus
from promptreel_server.engine import engine as engine_module
from promptreel_server.engine.admission import retry_orders
from promptreel_server.engine.admission.retry_orders import RetryOrder
from promptreel_server.engine.drive import segmentation
from promptreel_server.engine.drive.media_drive import Driver
from promptreel_server.errors import MediaUnreadable, RetryInFlight
from promptreel_server.extractors.canned.extractor import CannedScript
from promptreel_server.segmenters import Cut, Progress, SegmentationRequest
from promptreel_server.segmenters.fixed import FixedSegmenter
from promptreel_server.store.database.database import Database
from promptreel_server.store.runs import (
    counter_audit,
    retries,
    run_media,
    run_segments,
    runs,
    unreadable_media,
)
from promptreel_server.store.schema.transaction import Transaction
from tests.engines import OWNER, Rig, rig

SEGMENTS = 30


class Unreadable(FixedSegmenter):
    """Cuts nothing."""

    async def cut(self, request: SegmentationRequest, progress: Progress) -> Cut:
        raise MediaUnreadable("Nothing in it can be decoded.")


@pytest.fixture
async def running(database: Database, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rig]:
    monkeypatch.setattr(engine_module, "TAKE_UP_EVERY", 0.02)
    async with rig(database, segments_in_flight=2) as made:
        yield made


async def _retry_of_unread(made: Rig) -> tuple[Run, Retry]:
    """A run whose medium could not be cut, and a retry of its stand-in that nobody set going."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segmentation, "segmenter_for", lambda *_: Unreadable())
        video = await made.add(seconds=SEGMENTS * 2)
        run = await made.execute(await made.prompt(), [video], seconds=2)
        ended = await made.ended(run.run_id)
    page = await made.database.read(
        lambda c: run_segments.results(c, run.run_id, video.video_id, Slice(limit=2))
    )
    order = RetryOrder(
        owner_id=OWNER,
        video_id=video.video_id,
        segment_id=page.items[0].segment.segment_id,
        force=True,
    )
    return ended, await made.database.write(lambda tx: retry_orders.retry_one(tx, ended, order))


def _ask_again(tx: Transaction, retry: Retry) -> Retry:
    run = runs.fetch(tx.connection, OWNER, retry.run_id)
    order = RetryOrder(
        owner_id=OWNER, video_id=retry.video_id, segment_id=retry.segment_id, force=True
    )
    return retry_orders.retry_one(tx, run, order)


async def test_a_look_for_work_leaves_a_medium_to_the_retry_that_cuts_it_anew(
    running: Rig,
) -> None:
    run, retry = await _retry_of_unread(running)
    running.canned.change(CannedScript(latency_seconds=0.02))
    await running.engine.retry([retry])
    await running.asked()
    with pytest.raises(RetryInFlight, match=retry.retry_id):
        await running.database.write(lambda tx: _ask_again(tx, retry))
    ended = await running.retried(retry)
    assert ended.status is RetryStatus.COMPLETED, ended.error
    assert running.canned.asked == SEGMENTS
    assert (await running.ended(run.run_id)).status is RunStatus.COMPLETED
    assert await running.database.read(counter_audit.miscounts) == []


# Over PostgreSQL an engine looks for work as soon as it listens, and would find this retry itself.
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
async def test_a_retry_that_finds_its_medium_driven_to_the_end_ends_as_it_did(
    database: Database,
) -> None:
    async with rig(database) as made:
        run, retry = await _retry_of_unread(made)

        def take_up(tx: Transaction) -> None:  # what a process that died then had done
            retries.start(tx, retry)
            unreadable_media.reopen(tx, run_media.fetch(tx.connection, run.run_id, retry.video_id))

        await database.write(take_up)
        await Driver(made.means).drive(run.run_id, retry.video_id)
        await made.engine.retry([retry])
        ended = await made.retried(retry)
        assert ended.status is RetryStatus.COMPLETED, ended.error
        assert (await made.run(run.run_id)).status is RunStatus.COMPLETED
        assert made.canned.asked == SEGMENTS
