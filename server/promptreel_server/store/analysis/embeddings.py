"""Embeddings: the vectors of each segment's frames, in their spaces."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select

from promptreel_server.store.schema.tables import embeddings
from promptreel_server.store.schema.transaction import Transaction


@dataclass(frozen=True, kw_only=True)
class FrameVector:
    """The vector of one frame: float32, little-endian; `at` is its second in the medium."""

    at: float
    vector: bytes
    dimension: int
    labels: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, kw_only=True)
class SegmentVectors:
    """The vectors of one segment in one space."""

    segment_id: str
    video_id: str
    space: str
    frames: tuple[FrameVector, ...]


def find(connection: Connection, segment_id: str, space: str) -> tuple[FrameVector, ...]:
    """Answer the vectors of a segment in a space, none where it was not embedded yet."""
    rows = connection.execute(
        select(embeddings)
        .where(embeddings.c.segment_id == segment_id, embeddings.c.space == space)
        .order_by(embeddings.c.ordinal)
    )
    return tuple(
        FrameVector(
            at=row.at,
            vector=row.vector,
            dimension=row.dimension,
            labels=tuple((label, probability) for label, probability in row.labels),
        )
        for row in rows
    )


def keep_all(tx: Transaction, kept: Sequence[SegmentVectors]) -> Sequence[None]:
    """Store the vectors of segments in the place of older ones of the same space."""
    for vectors in kept:
        tx.execute(
            delete(embeddings).where(
                embeddings.c.segment_id == vectors.segment_id,
                embeddings.c.space == vectors.space,
            )
        )
    rows = [
        {
            "segment_id": vectors.segment_id,
            "space": vectors.space,
            "ordinal": ordinal,
            "video_id": vectors.video_id,
            "dimension": frame.dimension,
            "at": frame.at,
            "vector": frame.vector,
            "labels": [list(label) for label in frame.labels],
        }
        for vectors in kept
        for ordinal, frame in enumerate(vectors.frames)
    ]
    if rows:
        tx.execute(insert(embeddings), rows)
    return [None] * len(kept)
