"""What is known of a segment without a model that sees: words, text on screen, labels, sounds."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from promptreel_server.domain.segment import Transcript
from promptreel_server.extractors.chat.untrusted import InstructionScreen, quoted
from promptreel_server.extractors.extractor import ExtractionRequest
from promptreel_server.extractors.local.audio_events import Sounds
from promptreel_server.media.frames.pictures import Pictures
from promptreel_server.weights.model_process import ModelProcess

_AT_ONCE = 2
"""Segments looked at, at once: each takes an ffmpeg and its frames wait for one reader."""
_SHORT_SECONDS = 8.0
"""In a segment under this one frame shows it all."""
_LEAST_LIKELY = 0.35
"""A label under this is a guess at something that has no label."""
_MOST_LABELS = 4
_MOST_LINES = 24


class Seen(Protocol):
    """What a labeller says of one frame."""

    @property
    def labels(self) -> Sequence[tuple[str, float]]:
        """Names of what is seen with probabilities, likeliest first."""
        ...


class Labeller(Protocol):
    """Says what frames show; an image embedder does."""

    async def embed(self, frames: Sequence[NDArray[np.uint8]]) -> Sequence[Seen]:
        """Answer for each frame, in order."""
        ...


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What is known of one segment; `speech` is None where nobody listened."""

    speech: Transcript | None
    on_screen: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    sounds: tuple[str, ...] = ()
    has_sound: bool = True

    def screened(self, screen: InstructionScreen) -> tuple["Evidence", tuple[str, ...]]:
        """Answer it without what reads as an instruction to a model, and what was left out."""
        on_screen, found = screen.lines(self.on_screen)
        speech = self.speech
        if speech is not None:
            heard = screen.screened(speech.text)
            found = (*heard.instructions, *found)
            speech = replace(speech, text=heard.text)
        return replace(self, speech=speech, on_screen=on_screen), found

    def rendered(self, most: int) -> str:
        """Write it down for a language model, in at most about `most` characters.

        What was not found is not mentioned, but for words: a model would take it up.
        """
        lines = []
        if self.has_sound and self.speech is not None:
            said = _shortened(self.speech.text, most)
            lines.append(f"Spoken words: {quoted(said)}" if said else "Spoken words: none")
        if self.sounds:
            lines.append(f"Sounds: {', '.join(self.sounds)}")
        if self.on_screen:
            shown = _shortened(" | ".join(self.on_screen), most // 3)
            lines.append(f"Text on screen: {quoted(shown)}")
        if self.labels:
            lines.append(f"The picture may show: {'; '.join(self.labels)}")
        return "\n".join(lines)


@dataclass(frozen=True, kw_only=True)
class Gatherer:
    """Gathers evidence of segments."""

    pictures: Pictures
    labeller: Labeller | None
    senses: ModelProcess
    sounds: Sounds
    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))

    async def gather(self, request: ExtractionRequest) -> Evidence:
        """Look at, read and listen to one segment; raises OperationFailure where that fails."""
        async with self.turns:
            return await self._gathered(request)

    async def _gathered(self, request: ExtractionRequest) -> Evidence:
        facts = request.facts
        on_screen, labels = await self._look(request) if facts.has_video else ((), ())
        sounds: tuple[str, ...] = ()
        if facts.has_audio:
            sounds = await self.sounds.between(
                request.path, facts, request.media_sha256, request.start, request.end
            )
        return Evidence(
            speech=request.transcript,
            on_screen=on_screen,
            labels=labels,
            sounds=sounds,
            has_sound=facts.has_audio,
        )

    async def _look(self, request: ExtractionRequest) -> tuple[tuple[str, ...], tuple[str, ...]]:
        start, end = request.start, request.end
        count = 1 if end - start < _SHORT_SECONDS else 2
        stills = await self.pictures.representative_frames(
            request.path, request.facts, start, end, count
        )
        frames = [still.pixels for still in stills]
        if not frames:
            return (), ()
        lines = await self.senses.call("read", frames, seconds=120.0)
        seen = await self.labeller.embed(frames) if self.labeller else []
        return tuple(lines[:_MOST_LINES]), _likeliest(seen)


def _likeliest(seen: Sequence[Seen]) -> tuple[str, ...]:
    best: dict[str, float] = {}
    for frame in seen:
        for name, probability in frame.labels:
            short = name.split(",")[0]
            best[short] = max(best.get(short, 0.0), probability)
    names = sorted(best, key=lambda name: -best[name])
    return tuple(name for name in names if best[name] >= _LEAST_LIKELY)[:_MOST_LABELS]


def _shortened(text: str, most: int) -> str:
    """Keep beginning and end of what is too long, and show that something is missing."""
    if len(text) <= most:
        return text
    return f"{text[: most * 2 // 3]} [… {len(text) - most} characters …] {text[-most // 3 :]}"
