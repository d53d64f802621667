"""How many calls of a run would be answered from earlier ones, told before it starts."""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection

from promptreel_server.domain.media import MediaItem
from promptreel_server.domain.segment import Segment, Transcript
from promptreel_server.engine.admission.run_orders import Checked
from promptreel_server.engine.model_calls.call_cache import Fingerprints
from promptreel_server.extractors.extractor import Extractor
from promptreel_server.store.analysis import segmentations, signals
from promptreel_server.store.runs import llm_calls
from promptreel_server.store.runs.run_segments import transcript_of

MOST_SEGMENTS = 20_000
"""Segments that are looked at: an estimate answers at once, also for an archive."""
BATCH = 500


@dataclass(kw_only=True)
class Foresight:
    """Looks segments up, media item by media item, until it has seen enough."""

    connection: Connection
    checked: Checked
    extractor: Extractor
    transcript_kind: str | None
    """What the transcripts of these runs are stored as; None where nothing is transcribed."""
    seen: int = 0

    @property
    def over(self) -> bool:
        """Whether it has seen as many segments as it may."""
        return self.seen >= MOST_SEGMENTS

    def reused(self, item: MediaItem, segmentation_id: str) -> int:
        """How many segments of a media item that was cut already need no call."""
        said = None
        if self.transcript_kind is not None and item.facts.has_audio:
            said = transcript_of(signals.find(self.connection, item.video_id, self.transcript_kind))
            if said is None:
                return 0  # what will be said in the prompt is not known yet
        prompt = self.checked.prompt
        fingerprints = Fingerprints(
            self.extractor,
            media_sha256=item.sha256,
            prompt_text=prompt.prompt_text,
            json_schema=prompt.json_schema,
        )
        return sum(
            llm_calls.count_answered(self.connection, item.owner_id, names)
            for names in self._names(segmentation_id, fingerprints, said)
        )

    def _names(
        self, segmentation_id: str, fingerprints: Fingerprints, said: Transcript | None
    ) -> Iterator[list[str]]:
        after = -1
        while not self.over and (
            batch := segmentations.batch(self.connection, segmentation_id, after=after, limit=BATCH)
        ):
            after = batch[-1].ordinal
            self.seen += len(batch)
            yield [fingerprints.of(segment, _within(said, segment)) for segment in batch]


def _within(said: Transcript | None, segment: Segment) -> Transcript | None:
    return None if said is None else said.within(*segment.seconds)
