"""How a long medium is heard window by window, whatever model listens."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from promptreel_server.domain.media import MediaFacts, MediaType
from promptreel_server.errors import Unavailable
from promptreel_server.media.process.ffmpeg import Ffmpeg
from promptreel_server.transcribers.transcriber import TranscriptionRequest
from promptreel_server.transcribers.whisper import (
    RATE,
    WINDOW_SECONDS,
    WhisperTranscriber,
    _Hearing,
)
from promptreel_server.weights import runtime
from promptreel_server.weights.shelf import Shelf

FACTS = MediaFacts(
    media_type=MediaType.AUDIO,
    container="wav",
    start=Fraction(5),
    duration=Fraction(600),
    audio_stream=0,
)


class Listener:
    """Stands in for the model process: says a word every whole second of what it hears."""

    def __init__(self, kept_back: float = 0.0) -> None:
        self.kept_back = kept_back
        self.heard: list[tuple[float, str | None, bool]] = []

    async def call(
        self, method: str, window: Any, language: str | None, final: bool, **_: Any
    ) -> Any:
        seconds = len(window) / RATE
        self.heard.append((seconds, language, final))
        consumed = seconds if final else seconds - self.kept_back
        words = [(f" w{window[n * RATE]}", n, n + 0.5) for n in range(int(consumed))]
        return {"words": words, "language": "fr", "consumed": consumed}


def _seconds(first: int, count: int) -> Any:
    """Sound in which every second has its own number."""
    return np.repeat(np.arange(first, first + count, dtype=np.int16), RATE)


def _hearing(listener: Any, told: list[float] | None = None) -> _Hearing:
    request = TranscriptionRequest(path=Path("a.wav"), facts=FACTS)
    return _Hearing(listener, request, (told if told is not None else []).append)


async def test_words_stand_where_they_are_heard_on_the_clock() -> None:
    hearing = _hearing(Listener())
    await hearing.add(5.0, _seconds(0, 10))
    await hearing.end()
    transcript = hearing.transcript()
    assert [(word.text, word.start) for word in transcript.words[:2]] == [("w0", 5.0), ("w1", 6.0)]
    assert transcript.text.startswith("w0 w1 w2")
    assert transcript.language == "fr"


async def test_what_a_window_keeps_back_is_heard_with_the_next_and_nothing_twice() -> None:
    listener = Listener(kept_back=7.5)
    told: list[float] = []
    hearing = _hearing(listener, told)
    for first in range(0, 300, 50):
        await hearing.add(5.0 + first, _seconds(first, 50))
    await hearing.end()
    starts = [word.start for word in hearing.transcript().words]
    assert starts == sorted(starts)
    assert all(seconds <= WINDOW_SECONDS + 50 for seconds, _, _ in listener.heard)
    assert [final for _, _, final in listener.heard][-1] is True
    assert sum(seconds for seconds, _, _ in listener.heard) == 300 + 7.5 * (len(listener.heard) - 1)
    assert told == sorted(told)
    assert told[-1] == pytest.approx(300)


async def test_the_language_of_the_first_window_serves_the_later_ones() -> None:
    listener = Listener()
    hearing = _hearing(listener)
    for first in range(0, 250, 50):
        await hearing.add(5.0 + first, _seconds(first, 50))
    await hearing.end()
    assert listener.heard[0][1] is None
    assert {language for _, language, _ in listener.heard[1:]} == {"fr"}


async def test_a_gap_in_the_sound_moves_what_follows() -> None:
    hearing = _hearing(Listener())
    await hearing.add(5.0, _seconds(0, 3))
    await hearing.add(100.0, _seconds(50, 2))
    await hearing.end()
    assert [word.start for word in hearing.transcript().words] == [5.0, 6.0, 7.0, 100.0, 101.0]


async def test_nothing_heard_is_an_empty_transcript() -> None:
    hearing = _hearing(Listener())
    await hearing.end()
    transcript = hearing.transcript()
    assert (transcript.text, transcript.language, transcript.words) == ("", None, ())


@pytest.fixture
def programs() -> Ffmpeg:
    return Ffmpeg(
        ffmpeg=Path("/ffmpeg"), ffprobe=Path("/ffprobe"), version="6", reads_descriptors=True
    )


def test_missing_weights_name_the_command(tmp_path: Path, programs: Ffmpeg) -> None:
    with pytest.raises(Unavailable, match="promptreel models pull whisper-base"):
        WhisperTranscriber(ffmpeg=programs, shelf=Shelf(tmp_path))


def test_a_missing_runtime_names_the_extra(
    tmp_path: Path, programs: Ffmpeg, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "find_spec", lambda module: None)
    with pytest.raises(Unavailable, match=r"promptreel\[local\]"):
        WhisperTranscriber(ffmpeg=programs, shelf=Shelf(tmp_path))
