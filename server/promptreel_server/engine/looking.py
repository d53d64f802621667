"""The pictures of a segment: representative frames, their vectors and the thumbnail."""

import asyncio

import numpy as np

from promptreel_server.engine.means import Means, Picture
from promptreel_server.engine.turns import Turns
from promptreel_server.errors import FailureCode, MediaUnreadable, ModelFailure
from promptreel_server.model.media import MediaItem
from promptreel_server.model.segment import Segment
from promptreel_server.store import embeddings, segmentations
from promptreel_server.store.embeddings import FrameVector, SegmentVectors
from promptreel_server.store.transaction import Transaction


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
        embedder = self._means.embedder
        if embedder is None:
            raise ModelFailure(
                FailureCode.MODEL_UNAVAILABLE,
                "Image embedding is not installed; pip install 'promptreel[local]'.",
            )
        async with self._turns.turn(segment.segment_id):
            database = self._means.database
            known = await database.read(
                lambda c: embeddings.find(c, segment.segment_id, embedder.space)
            )
            if known:
                return
            pictures = await self._pictures(item, segment)
            vectors = await embedder.embed([picture.frame for picture in pictures])
            frames = tuple(
                FrameVector(
                    at=picture.at,
                    vector=np.ascontiguousarray(found.vector, dtype="<f4").tobytes(),
                    dimension=len(found.vector),
                    labels=found.labels,
                )
                for picture, found in zip(pictures, vectors, strict=True)
            )
            kept = SegmentVectors(
                segment_id=segment.segment_id,
                video_id=segment.video_id,
                space=embedder.space,
                frames=frames,
            )
            await database.write(lambda tx: _keep(tx, kept))

    async def _pictures(self, item: MediaItem, segment: Segment) -> list[Picture]:
        async with self._places:
            pictures = await self._means.pictures.representative(
                self._means.blobs.path(item.sha256),
                item.facts,
                float(segment.start),
                float(segment.end),
                self._means.bounds.frames_a_segment,
            )
        if not pictures:
            raise MediaUnreadable(
                f"No picture could be decoded between {float(segment.start):.3f} s "
                f"and {float(segment.end):.3f} s."
            )
        await self._means.pictures.keep_thumbnail(segment.video_id, segment.segment_id, pictures[0])
        return pictures


def _keep(tx: Transaction, kept: SegmentVectors) -> None:
    embeddings.keep_all(tx, [kept])
    segmentations.mark_thumbnails(tx, [kept.segment_id])
