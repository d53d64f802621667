"""The port to speech recognition."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from promptreel_server.domain.media import MediaFacts
from promptreel_server.domain.segment import Transcript


@dataclass(frozen=True, kw_only=True)
class TranscriptionRequest:
    """One whole media item; `facts.has_audio` is true."""

    path: Path
    facts: MediaFacts
    language: str | None = None


class Transcriber(Protocol):
    """Turns the speech of a whole media item into words with times."""

    model: str
    """Names model and algorithm version: the key under which transcripts are stored."""

    async def transcribe(
        self, request: TranscriptionRequest, progress: Callable[[float], None]
    ) -> Transcript:
        """Transcribe one media item; `progress` is told seconds done.

        Word times are seconds on the container's clock. Silence gives an empty transcript.
        Cancelling the awaiting task ends the work within a second.

        Raises:
            OperationFailure: the speech can't be transcribed.
        """
        ...

    async def close(self) -> None:
        """Let go of processes and memory."""
        ...
