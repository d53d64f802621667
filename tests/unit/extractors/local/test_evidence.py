"""What is gathered of a segment, and how it is written down for a language model."""

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from promptreel_server.domain.segment import Transcript
from promptreel_server.extractors.local import audio_events as sounds_module
from promptreel_server.extractors.local.audio_events import RATE, Sounds
from promptreel_server.extractors.local.evidence import Evidence, Gatherer
from promptreel_server.media.frames.decode import Sound
from promptreel_server.media.frames.stills import Still
from tests.unit.extractors.requests import FACTS, extraction_request

SAID = Transcript(text="Good evening", language="en", words=())


def test_evidence_says_what_was_found() -> None:
    found = Evidence(
        speech=SAID, on_screen=("NEWS", "Ada"), labels=("setter", "sea"), sounds=("speech", "music")
    )
    assert found.rendered(500).splitlines() == [
        'Spoken words: "Good evening"',
        "Sounds: speech, music",
        'Text on screen: "NEWS | Ada"',
        "The picture may show: setter; sea",
    ]


def test_silence_is_said_but_nothing_of_what_nobody_listened_for() -> None:
    assert Evidence(speech=replace(SAID, text="")).rendered(500) == "Spoken words: none"
    assert Evidence(speech=None).rendered(500) == ""
    assert Evidence(speech=SAID, has_sound=False).rendered(500) == ""


def test_long_evidence_is_shortened_in_the_middle_and_says_so() -> None:
    words = " ".join(f"word{number}" for number in range(5000))
    written = Evidence(speech=replace(SAID, text=words)).rendered(2000)
    assert len(written) < 2300
    assert "word0 " in written
    assert "word4999" in written
    assert "characters …" in written


class Senses:
    """Stands in for the process that reads and listens."""

    def __init__(self) -> None:
        self.windows: list[int] = []

    async def call(self, method: str, argument: Any, **_: Any) -> Any:
        if method == "read":
            return [f"text {len(argument)}"]
        self.windows.append(len(argument))
        await asyncio.sleep(0.01)
        return {"speech": [(1.0, 2.5)], "music": [(0.0, len(argument) / RATE)], "singing": []}


@dataclass
class Shown:
    labels: list[tuple[str, float]]


class Labels:
    """Says of every frame the same two things."""

    async def embed(self, frames: Any) -> list[Shown]:
        return [Shown([("golden retriever, dog", 0.8), ("sofa", 0.1)]) for _ in frames]


class Pictures:
    """Shows as many grey frames as it is asked for."""

    async def representative_frames(
        self, path: Path, facts: Any, start: float, end: float, count: int
    ) -> list[Still]:
        grey = np.zeros((4, 4, 3), np.uint8)
        return [Still(at=start, pixels=grey) for _ in range(count)]


@pytest.fixture
def decoded_seconds(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, int]]:
    """The pieces of sound that decoding yields: start in seconds, length in seconds."""
    pieces = [(5.0, 60), (65.0, 60), (125.0, 10)]

    class Decoding:
        def __init__(self, *_: Any) -> None:
            pass

        async def __aenter__(self) -> Any:
            return self._pieces()

        async def __aexit__(self, *_: object) -> None:
            pass

        async def _pieces(self) -> Any:
            for start, seconds in pieces:
                yield Sound(samples=np.zeros(seconds * RATE, np.int16), start=start)  # type: ignore[arg-type]

    monkeypatch.setattr(sounds_module, "decoded", Decoding)
    return pieces


def _sounds(senses: Any) -> Sounds:
    return Sounds(ffmpeg=None, senses=senses)  # type: ignore[arg-type]


async def test_a_medium_is_listened_to_once_however_many_segments_ask(
    decoded_seconds: list[tuple[float, int]],
) -> None:
    senses = Senses()
    sounds = _sounds(senses)
    asked = [
        sounds.between(Path("a"), FACTS, "sha", start, start + 5) for start in range(5, 105, 5)
    ]
    answers = await asyncio.gather(*asked)
    assert sum(senses.windows) == 130 * RATE
    assert answers[0] == ("music", "speech")
    assert answers[5] == ("music",)


async def test_sounds_keep_the_containers_clock_after_a_gap(
    decoded_seconds: list[tuple[float, int]],
) -> None:
    decoded_seconds.append((1000.0, 5))
    sounds = _sounds(Senses())
    assert await sounds.between(Path("a"), FACTS, "sha", 500.0, 510.0) == ()
    assert await sounds.between(Path("a"), FACTS, "sha", 1000.5, 1004.0) == ("music", "speech")


async def test_what_is_seen_read_and_heard_of_a_segment_is_gathered(
    decoded_seconds: list[tuple[float, int]],
) -> None:
    senses: Any = Senses()
    pictures: Any = Pictures()
    gatherer = Gatherer(pictures=pictures, labeller=Labels(), senses=senses, sounds=_sounds(senses))
    facts = replace(FACTS, video_stream=0, audio_stream=1)
    request = extraction_request(facts=facts, start=5.0, end=20.0, transcript=SAID)
    evidence = await gatherer.gather(request)
    assert evidence == Evidence(
        speech=SAID,
        on_screen=("text 2",),
        labels=("golden retriever",),
        sounds=("music", "speech"),
    )
    image = await gatherer.gather(extraction_request(facts=replace(FACTS, video_stream=0), end=0.0))
    assert image.on_screen == ("text 1",)
    assert not image.has_sound


async def test_few_segments_are_looked_at_at_once_however_many_are_asked_for() -> None:
    looking: list[int] = [0, 0]

    class Slow(Pictures):
        async def representative_frames(self, *asked: Any) -> list[Still]:
            looking[0] += 1
            looking[1] = max(looking)
            await asyncio.sleep(0.01)
            looking[0] -= 1
            return await super().representative_frames(*asked)

    senses: Any = Senses()
    pictures: Any = Slow()
    gatherer = Gatherer(pictures=pictures, labeller=None, senses=senses, sounds=_sounds(senses))
    request = extraction_request(facts=replace(FACTS, video_stream=0))
    await asyncio.gather(*(gatherer.gather(request) for _ in range(12)))
    assert looking[1] == 2
