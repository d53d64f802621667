"""Cuts a media item into stored segments, unless it was cut so before, and plans them in."""

import asyncio
from contextlib import suppress
from functools import partial
from typing import Protocol

from promptreel_server.concurrency.keyed_lock import Turns
from promptreel_server.domain.ids import SEGMENT, SEGMENTATION, new_id, new_ids
from promptreel_server.domain.media import MediaItem
from promptreel_server.domain.operation import Operation, OperationStatus
from promptreel_server.domain.run import Run, RunMedia
from promptreel_server.domain.segment import Segment
from promptreel_server.engine.drive.progress_reporter import Progress
from promptreel_server.engine.drive.resources import Means
from promptreel_server.segmenters import (
    SIGNALS_VERSION,
    Cut,
    SegmentationRequest,
    Signals,
    fingerprint,
    segmenter_for,
)
from promptreel_server.store.analysis import segmentations, signals
from promptreel_server.store.analysis.segmentations import Segmentation
from promptreel_server.store.database.cluster import waited_for
from promptreel_server.store.runs import run_media
from promptreel_server.store.schema.transaction import Transaction

BATCH = 5000
"""Segment rows a transaction: bounds memory, and how long others wait for the writer."""

SIGNALS = f"cuts:{SIGNALS_VERSION}"


class Cutter:
    """Makes sure that a media item is cut and its segments are planned into the run."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._places = asyncio.Semaphore(means.bounds.cuts_at_once)
        self._turns = Turns()

    async def plan(self, run: Run, held: RunMedia, item: MediaItem) -> None:
        """Cut and plan; does nothing of it twice.

        Raises:
            Fenced: a later drive has claimed the media item.
            OperationFailure: the medium can't be cut.
        """
        request = await self._request(run, item)
        name = fingerprint(request, item.sha256)
        found, new = await self._segmentation(held, item, request, name)
        states = enabled_operations(run, item)

        def plan(tx: Transaction, ordinals: range, *, last: bool) -> None:
            if not ordinals.start:
                run_media.clear_plan(tx, held)
            run_media.plan(tx, held, found.segmentation_id, ordinals, states)
            if last:
                run_media.planned(tx, held, found.segmentation_id, found.segment_count, new=new)

        await self._write_in_batches(found.segment_count, plan)

    async def _segmentation(
        self, held: RunMedia, item: MediaItem, request: SegmentationRequest, name: str
    ) -> tuple[Segmentation, bool]:
        """Find the cut of a media item or make it, and tell whether it was made here.

        One drive cuts, in this process and among servers; the others wait for what it stores. Where
        a server loses its lock, two may cut: the first that stores is used by both.
        """
        database = self._means.database
        lock = f"cut:{item.video_id}:{name}"
        async with self._turns.turn(lock), waited_for(database.peers, lock):
            while True:
                found = await database.read(lambda c: segmentations.find(c, item.video_id, name))
                if found is not None:
                    return found, False
                with suppress(segmentations.Superseded):
                    return await self._cut(held, item, request, name), True

    async def _request(self, run: Run, item: MediaItem) -> SegmentationRequest:
        known = await self._means.database.read(lambda c: signals.find(c, item.video_id, SIGNALS))
        return SegmentationRequest(
            path=self._means.blobs.path(item.sha256),
            media_type=item.media_type,
            facts=item.facts,
            mode=run.settings.mode(item.media_type),
            fixed_duration=run.settings.fixed_duration(item.media_type),
            limits=self._means.limits,
            known=None if known is None else Signals.from_json(known),
        )

    async def _cut(
        self, held: RunMedia, item: MediaItem, request: SegmentationRequest, name: str
    ) -> Segmentation:
        segmenter = segmenter_for(request.mode, request.media_type)

        async def cut() -> Segmentation:
            async with self._places:  # also while storing: who is first goes on while others cut
                async with Progress(self._means.database, held, "cutting") as progress:
                    found = await segmenter.cut(request, progress.note)
                return await self._keep(item, request, name, found)

        return await self._means.policy.attempted(cut)

    async def _keep(
        self, item: MediaItem, request: SegmentationRequest, name: str, cut: Cut
    ) -> Segmentation:
        """Store a cut: with its first segments what was seen and heard, with its last the seal."""
        found = Segmentation(
            segmentation_id=new_id(SEGMENTATION),
            video_id=item.video_id,
            fingerprint=name,
            segment_count=len(cut.spans),
        )
        body = cut.signals.to_json()
        heard_more = request.known is None or request.known.to_json() != body

        def keep(tx: Transaction, ordinals: range, *, last: bool) -> None:
            if not ordinals.start:
                segmentations.begin(tx, found)
                if heard_more:
                    signals.keep(tx, item.video_id, SIGNALS, body)
            segmentations.require_open(tx, found.segmentation_id)
            segmentations.add(tx, found.segmentation_id, _segments(item, cut, ordinals))
            if last:
                segmentations.complete(tx, found)

        await self._write_in_batches(found.segment_count, keep)
        return found

    async def _write_in_batches(self, count: int, write: "_WriteBatch") -> None:
        """Write so many segments, `BATCH` a transaction; it is told which batch is the last."""
        for first in range(0, count, BATCH):
            ordinals = range(first, min(first + BATCH, count))
            last = ordinals.stop == count
            await self._means.database.write(partial(write, ordinals=ordinals, last=last))


class _WriteBatch(Protocol):
    def __call__(self, tx: Transaction, ordinals: range, *, last: bool) -> None: ...


def _segments(item: MediaItem, cut: Cut, ordinals: range) -> list[Segment]:
    """The segments of a stretch of a cut."""
    return [
        Segment(
            segment_id=segment_id,
            video_id=item.video_id,
            ordinal=ordinal,
            start=cut.spans[ordinal].start,
            end=cut.spans[ordinal].end,
        )
        for ordinal, segment_id in zip(ordinals, new_ids(SEGMENT, len(ordinals)), strict=True)
    ]


def enabled_operations(run: Run, item: MediaItem) -> dict[Operation, OperationStatus]:
    """Which operations a run does on a medium: those it enables and the medium has stuff for."""
    possible = {
        Operation.FIELD_EXTRACTION: True,
        Operation.TRANSCRIPTION: item.facts.has_audio,
        Operation.IMAGE_EMBEDDING: item.facts.has_video,
    }
    return {
        operation: OperationStatus.PENDING
        if run.enabled(operation) and possible[operation]
        else OperationStatus.OFF
        for operation in Operation
    }
