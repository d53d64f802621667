"""Media items as a probe would have found them, for tests that need no bytes."""

import hashlib
from datetime import UTC, datetime
from fractions import Fraction

from promptreel_server.domain.ids import VIDEO, new_id
from promptreel_server.domain.media import MediaFacts, MediaItem, MediaStatus, MediaType

FACTS = MediaFacts(
    media_type=MediaType.VIDEO,
    container="mov",
    start=Fraction(1, 30000),
    duration=Fraction(300300, 30000),
    time_base=Fraction(1, 30000),
    video_codec="h264",
    audio_codec="aac",
    width=640,
    height=360,
    rotation=90,
    frame_rate=Fraction(30000, 1001),
    video_stream=0,
    audio_stream=1,
    streams=("video", "audio"),
)


def media_item(
    owner_id: str = "ann",
    *,
    index_id: str | None = None,
    title: str = "Harbour",
    content: str = "one",
    size_bytes: int = 1000,
    facts: MediaFacts = FACTS,
) -> MediaItem:
    return MediaItem(
        video_id=new_id(VIDEO),
        owner_id=owner_id,
        index_id=index_id,
        title=title,
        source_uri="upload:harbour.mp4",
        status=MediaStatus.NOT_PROCESSED,
        sha256=hashlib.sha256(content.encode()).hexdigest(),
        size_bytes=size_bytes,
        facts=facts,
        created_at=datetime(2026, 3, 1, tzinfo=UTC),
    )
