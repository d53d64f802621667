"""A media item that could not be cut: one stand-in segment says so in the manifest."""

from sqlalchemy import delete, insert, update

from promptreel_server.domain.ids import SEGMENT, new_id
from promptreel_server.domain.media import MediaItem, MediaStatus
from promptreel_server.domain.operation import Failure, Operation, OperationState, OperationStatus
from promptreel_server.domain.run import RunMedia, RunMediaStatus
from promptreel_server.domain.segment import Segment, SegmentStatus
from promptreel_server.errors import OperationFailure
from promptreel_server.store.analysis import segmentations
from promptreel_server.store.catalogue import media
from promptreel_server.store.runs import run_media, runs, segment_outcomes, syntheses
from promptreel_server.store.runs.segment_outcomes import SegmentOutcome
from promptreel_server.store.schema import tables
from promptreel_server.store.schema.tables import run_segments, segments
from promptreel_server.store.schema.transaction import Transaction

PREFIX = "unread_"
"""Begins the segmentation id of a stand-in: it stretches over the whole medium, and is no cut."""


def fail(tx: Transaction, held: RunMedia, item: MediaItem, failure: OperationFailure) -> None:
    """End a media item that failed before any operation; nothing where another drive holds it."""
    if not run_media.held(tx.connection, held):
        return
    segmentation_id = f"{PREFIX}{held.run_id}_{held.video_id}"
    segment = Segment(
        segment_id=new_id(SEGMENT),
        video_id=held.video_id,
        ordinal=0,
        start=item.facts.start,
        end=item.facts.end,
    )
    run_media.clear_plan(tx, held)
    segmentations.add(tx, segmentation_id, [segment])
    off = {operation: OperationState(status=OperationStatus.OFF) for operation in Operation}
    tx.execute(
        insert(run_segments).values(
            run_id=held.run_id,
            video_id=held.video_id,
            ordinal=0,
            segment_id=segment.segment_id,
            status=SegmentStatus.PENDING,
            **{f"{operation.value}_status": OperationStatus.OFF for operation in Operation},
        )
    )
    run_media.planned(tx, held, segmentation_id, 1, new=False)
    segment_outcomes.advance(
        tx,
        [
            SegmentOutcome(
                item=held,
                segment=segment,
                prompt_id="",
                status=SegmentStatus.FAILED,
                operations=off,
                failure=Failure(
                    code=failure.failure_code,
                    message=failure.message,
                    retryable=failure.failure_code.retryable,
                ),
            )
        ],
    )
    syntheses.give_up(tx, held, failure.message)
    run_media.close(tx, held, error_message=failure.message)
    media.set_status(tx, [held.video_id], MediaStatus.FAILED)


def reopen(tx: Transaction, held: RunMedia) -> None:
    """Take a stand-in away and let its media item, and the run, be driven again."""
    stand_in = segments.c.segmentation_id == f"{PREFIX}{held.run_id}_{held.video_id}"
    run_media.clear_plan(tx, held)
    syntheses.reset(tx, held)
    tx.execute(delete(segments).where(stand_in))
    tx.execute(
        update(tables.run_media)
        .where(
            tables.run_media.c.run_id == held.run_id, tables.run_media.c.video_id == held.video_id
        )
        .values(
            status=RunMediaStatus.PENDING,
            segmentation_id=None,
            total_segments=0,
            failed_segments=0,
            error_message=None,
            updated_at=tx.now,
        )
    )
    runs.reopen(tx, held.run_id, held.media_type, held.status, segments=held.total_segments)
