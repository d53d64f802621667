"""The transcript of a media item: made once, stored, read by every run and segment after that."""

import asyncio
from dataclasses import dataclass
from functools import partial

from promptreel_server.concurrency.keyed_lock import Turns
from promptreel_server.domain.media import MediaItem
from promptreel_server.domain.run import RunMedia
from promptreel_server.domain.segment import Transcript
from promptreel_server.engine.drive.progress_reporter import Progress
from promptreel_server.engine.drive.resources import Means
from promptreel_server.errors import ModelMissing, OperationFailure, Unavailable
from promptreel_server.store.analysis import signals
from promptreel_server.store.runs.run_segments import transcript_json, transcript_of
from promptreel_server.transcribers.transcriber import Transcriber, TranscriptionRequest


@dataclass(frozen=True, kw_only=True)
class Heard:
    """What listening to a media item came to: a transcript, or why there is none."""

    transcript: Transcript | None = None
    failure: OperationFailure | None = None
    earlier: tuple[OperationFailure, ...] = ()
    """Failures of the attempts before the last."""


def transcript_kind(transcriber: Transcriber) -> str:
    """What the transcripts of a model are stored as."""
    return f"transcript:{transcriber.model}"


class Listener:
    """Makes sure that a media item is transcribed."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._places = asyncio.Semaphore(1)
        self._turns = Turns()

    async def hear(self, held: RunMedia, item: MediaItem) -> Heard:
        """Answer the stored transcript, or make and store it; a failure is an answer too."""
        try:
            transcriber = self._means.transcriber.get()
        except Unavailable as error:
            return Heard(failure=ModelMissing(error.message))
        kind = transcript_kind(transcriber)
        async with self._turns.turn(f"{item.video_id}:{kind}"):
            stored = await self._means.database.read(lambda c: signals.find(c, item.video_id, kind))
            if stored is not None:
                return Heard(transcript=transcript_of(stored))
            earlier: list[OperationFailure] = []
            make = partial(self._make, transcriber, kind, held, item)
            try:
                made = await self._means.policy.attempted(make, earlier.append)
            except OperationFailure as failure:
                return Heard(failure=failure, earlier=tuple(earlier))
            return Heard(transcript=made, earlier=tuple(earlier))

    async def _make(
        self, transcriber: Transcriber, kind: str, held: RunMedia, item: MediaItem
    ) -> Transcript:
        request = TranscriptionRequest(path=self._means.blobs.path(item.sha256), facts=item.facts)
        async with (
            self._places,
            Progress(self._means.database, held, "transcribing") as progress,
        ):
            transcript = await transcriber.transcribe(
                request, lambda done: progress.note(done, item.facts.duration)
            )
        body = transcript_json(transcript)
        if body is not None:
            await self._means.database.write(lambda tx: signals.keep(tx, item.video_id, kind, body))
        return transcript
