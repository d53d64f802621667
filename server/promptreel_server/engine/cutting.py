"""Cuts a media item into stored segments, unless it was cut so before, and plans them in."""

import asyncio

from promptreel_server.engine.means import Means
from promptreel_server.engine.progress import Progress
from promptreel_server.engine.turns import Turns
from promptreel_server.model.ids import SEGMENT, new_ids
from promptreel_server.model.media import MediaItem
from promptreel_server.model.operation import Operation, OperationStatus
from promptreel_server.model.run import Run, RunMedia
from promptreel_server.model.segment import Segment
from promptreel_server.segmenters import (
    SIGNALS_VERSION,
    Cut,
    SegmentationRequest,
    Signals,
    fingerprint,
    segmenter_for,
)
from promptreel_server.store import run_media, segmentations, signals
from promptreel_server.store.segmentations import Segmentation

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
            OperationFailure: the medium can't be cut.
        """
        database = self._means.database
        request = await self._request(run, item)
        name = fingerprint(request, item.sha256)
        new = False
        async with self._turns.turn(f"{item.video_id}:{name}"):
            found = await database.read(lambda c: segmentations.find(c, item.video_id, name))
            if found is None:
                new = True
                found = await self._cut(held, item, request, name)
        await database.write(lambda tx: run_media.clear_plan(tx, held))
        states = enabled_operations(run, item)
        for first in range(0, found.segment_count, BATCH):
            ordinals = range(first, min(first + BATCH, found.segment_count))
            await database.write(
                lambda tx, ordinals=ordinals: run_media.plan(  # type: ignore[misc]
                    tx, held, found.segmentation_id, ordinals, states
                )
            )
        await database.write(
            lambda tx: run_media.planned(
                tx, held, found.segmentation_id, found.segment_count, new=new
            )
        )

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
        database = self._means.database
        segmenter = segmenter_for(request.mode, request.media_type)
        async with self._places, Progress(database, held, "cutting") as progress:
            cut = await segmenter.cut(request, progress.note)
        await self._keep_signals(item, request, cut)
        segmentation_id = await database.write(
            lambda tx: segmentations.begin(tx, item.video_id, name)
        )
        for first in range(0, len(cut.spans), BATCH):
            spans = cut.spans[first : first + BATCH]
            batch = [
                Segment(
                    segment_id=segment_id,
                    video_id=item.video_id,
                    ordinal=first + offset,
                    start=span.start,
                    end=span.end,
                )
                for offset, (span, segment_id) in enumerate(
                    zip(spans, new_ids(SEGMENT, len(spans)), strict=True)
                )
            ]
            await database.write(
                lambda tx, batch=batch: segmentations.add(tx, segmentation_id, batch)  # type: ignore[misc]
            )
        await database.write(lambda tx: segmentations.complete(tx, segmentation_id, len(cut.spans)))
        return Segmentation(
            segmentation_id=segmentation_id,
            video_id=item.video_id,
            fingerprint=name,
            complete=True,
            segment_count=len(cut.spans),
        )

    async def _keep_signals(self, item: MediaItem, request: SegmentationRequest, cut: Cut) -> None:
        body = cut.signals.to_json()
        if request.known is None or request.known.to_json() != body:
            await self._means.database.write(
                lambda tx: signals.keep(tx, item.video_id, SIGNALS, body)
            )


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
