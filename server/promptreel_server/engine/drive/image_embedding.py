"""The pictures of a segment: representative frames, their vectors and the thumbnail."""

import asyncio

import numpy as np

from promptreel_server.concurrency.keyed_lock import Turns
from promptreel_server.domain.media import MediaItem
from promptreel_server.domain.segment import Segment
from promptreel_server.engine.drive.resources import Means
from promptreel_server.errors import MediaUnreadable, ModelMissing, Unavailable
from promptreel_server.media.frames.jpeg import jpeg
from promptreel_server.media.frames.stills import Still
from promptreel_server.store.analysis import embeddings, segmentations
from promptreel_server.store.analysis.embeddings import FrameVector, SegmentVectors
from promptreel_server.store.schema.transaction import Transaction


class Looker:
    """Makes sure that a segment is embedded and has a thumbnail."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._places = asyncio.Semaphore(means.bounds.cuts_at_once)
        self._turns = Turns()

    async def embed(self, item: MediaItem, segment: Segment) -> None:
        """Embed a segment's frames, unless that was done before.

        Raises:
            OperationFailure: the frames can't be decoded or embedded.
        """
        try:
            embedder = self._means.embedder.get()
        except Unavailable as error:
            raise ModelMissing(error.message) from error
        async with self._turns.turn(segment.segment_id):
            database = self._means.database
            known = await database.read(
                lambda c: embeddings.find(c, segment.segment_id, embedder.space)
            )
            if known:
                return
            stills = await self._stills(item, segment)
            vectors = await embedder.embed([still.pixels for still in stills])
            frames = tuple(
                FrameVector(
                    at=still.at,
                    vector=np.ascontiguousarray(found.vector, dtype="<f4").tobytes(),
                    dimension=len(found.vector),
                    labels=found.labels,
                )
                for still, found in zip(stills, vectors, strict=True)
            )
            kept = SegmentVectors(
                segment_id=segment.segment_id,
                video_id=segment.video_id,
                space=embedder.space,
                frames=frames,
            )
            await database.write(lambda tx: _keep(tx, kept))

    async def _stills(self, item: MediaItem, segment: Segment) -> list[Still]:
        start, end = segment.seconds
        async with self._places:
            stills = await self._means.pictures.representative_frames(
                self._means.blobs.path(item.sha256),
                item.facts,
                start,
                end,
                self._means.bounds.frames_a_segment,
            )
        if not stills:
            raise MediaUnreadable(
                f"No picture could be decoded between {start:.3f} s and {end:.3f} s."
            )
        await self._means.thumbnails.write(
            self._means.thumbnails.thumbnail_path(segment.video_id, segment.segment_id),
            await asyncio.to_thread(jpeg, stills[0].pixels),
        )
        return stills


def _keep(tx: Transaction, kept: SegmentVectors) -> None:
    embeddings.keep_all(tx, [kept])
    segmentations.mark_thumbnails(tx, [kept.segment_id])
