"""The port to the models that extract fields and write syntheses."""

from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from promptreel_server.domain.llm_call import LlmCall
from promptreel_server.domain.media import MediaFacts
from promptreel_server.domain.prompt import JsonObject
from promptreel_server.domain.segment import Transcript
from promptreel_server.errors import OperationFailure


@dataclass(frozen=True, kw_only=True)
class ExtractionRequest:
    """One segment, and what is asked of it.

    `start` and `end` are seconds on the container's clock; `transcript` is None where
    transcription is off or failed.
    """

    run_id: str
    video_id: str
    segment_id: str
    path: Path
    media_sha256: str
    facts: MediaFacts
    title: str
    start: float
    end: float
    prompt_text: str
    json_schema: JsonObject
    transcript: Transcript | None
    attempt: int = 1
    output_limit_factor: int = 1
    """Raised after an answer that was cut off."""


@dataclass(frozen=True, kw_only=True)
class SynthesisSource:
    """What one segment gives to the synthesis: its times and its chosen fields."""

    segment_id: str
    start: float
    end: float
    fields: JsonObject


@dataclass(frozen=True, kw_only=True)
class SynthesisRequest:
    """A whole media item, by what its segments yielded."""

    run_id: str
    video_id: str
    title: str
    facts: MediaFacts
    instructions_text: str
    json_schema: JsonObject
    sources: Sequence[SynthesisSource]
    attempt: int = 1
    output_limit_factor: int = 1


@dataclass(frozen=True, kw_only=True)
class Extraction:
    """What one attempt came to.

    Exactly one of `metadata` (valid against the schema) and `failure` is there. `calls` are the
    LLM calls it took, also when it failed. `rendered_prompt_chars` is the length of what was asked.
    """

    metadata: JsonObject | None = None
    failure: OperationFailure | None = None
    calls: tuple[LlmCall, ...] = field(default=())
    raw_response: str | None = None
    warning: str | None = None
    rendered_prompt_chars: int = 0


class Extractor(Protocol):
    """Does field extraction and synthesis through one model.

    An attempt never raises for what a model or the network does wrong: that is
    `Extraction.failure`. Cancelling the awaiting task ends the attempt.
    """

    model: str
    generation: str
    """The settings that shape its answers, and where it runs: answers are reused among equals."""

    def refuse(self, json_schema: JsonObject) -> str | None:
        """Say why the model can't be asked for this schema, or None where it can."""
        ...

    def prepare(self, request: ExtractionRequest) -> Coroutine[Any, Any, None] | None:
        """Answer what is to be awaited ahead of `extract`, None where nothing is.

        It may take long (an upload), may be cancelled, and takes no place among the calls in
        flight. Raises OperationFailure when awaited.
        """
        ...

    async def extract(self, request: ExtractionRequest) -> Extraction:
        """Extract the fields of one segment."""
        ...

    async def synthesize(self, request: SynthesisRequest) -> Extraction:
        """Write the media-wide result from what the segments yielded."""
        ...

    async def release(self, run_id: str, video_id: str) -> None:
        """Let go of what was kept for a media item of a run (an upload, frames); idempotent."""
        ...

    async def close(self) -> None:
        """Let go of processes and connections."""
        ...


class ExtractorFactory(Protocol):
    """Makes the extractor for a `processing_model`."""

    def known_models(self) -> tuple[str, ...]:
        """The models that can be named here and now, for messages."""
        ...

    def extractor(self, processing_model: str) -> Extractor:
        """Answer the extractor of a model.

        Raises:
            UnknownModel: no such model.
            Unavailable: the model is known but its weights, key or extra are missing; the message
                names the command or setting that mends it.
        """
        ...
