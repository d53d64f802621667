"""Samples are heard when the container says."""

import asyncio
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from numpy.typing import NDArray

from promptreel_server.errors import MediaUnreadable
from promptreel_server.media.probe import probe
from promptreel_server.media.sound import audio_samples
from promptreel_server.model.media import MediaFacts
from tests import footage

RATE = 16_000


async def facts_of(path: Path) -> MediaFacts:
    return await probe(path, ffmpeg=footage.programs())


async def heard(path: Path, facts: MediaFacts) -> NDArray[np.float32]:
    async with audio_samples(path, facts, ffmpeg=footage.programs(), chunk_seconds=1) as chunks:
        return np.concatenate([chunk async for chunk in chunks])


def first_sound(samples: NDArray[np.float32]) -> float:
    return int(np.flatnonzero(np.abs(samples) > 0.02)[0]) / RATE


async def test_samples_are_mono_floats_as_long_as_the_medium() -> None:
    path = footage.tone(2.5).path
    samples = await heard(path, await facts_of(path))
    assert samples.dtype == np.float32
    assert len(samples) == pytest.approx(2.5 * RATE, abs=20)
    assert 0.05 < float(np.abs(samples).max()) <= 1


async def test_chunks_have_the_length_asked_for() -> None:
    path = footage.tone(2.5).path
    facts = await facts_of(path)
    async with audio_samples(path, facts, ffmpeg=footage.programs(), chunk_seconds=1) as chunks:
        lengths = [len(chunk) async for chunk in chunks]
    assert lengths[:2] == [RATE, RATE]
    assert 0 < lengths[2] <= RATE / 2 + 20


async def test_sound_that_begins_late_is_heard_late() -> None:
    picture = ["-f", "lavfi", "-i", "testsrc2=size=160x90:rate=25:duration=4,format=yuv420p"]
    tone = ["-itsoffset", "1.5", "-f", "lavfi", "-i", "sine=sample_rate=44100:duration=2"]
    path = footage.drawn([*picture, *tone, "-map", "0", "-map", "1"], "mp4")
    facts = await facts_of(path)
    assert facts.start == 0
    assert first_sound(await heard(path, facts)) == pytest.approx(1.5, abs=0.05)


@pytest.mark.parametrize("offset", ["3600", "-2"])
async def test_a_clock_that_begins_elsewhere_is_heard_from_its_start(offset: str) -> None:
    suffix = "ts" if offset == "3600" else "mkv"
    options = ["-output_ts_offset", offset, "-c:a", "mp2"]
    if suffix == "mkv":
        options += ["-avoid_negative_ts", "disabled"]
    path = footage.tone(2, suffix=suffix, options=options).path
    facts = await facts_of(path)
    assert float(facts.start) == pytest.approx(float(offset), abs=2)
    samples = await heard(path, facts)
    assert len(samples) / RATE == pytest.approx(float(facts.duration), abs=0.05)
    assert first_sound(samples) < 0.1


async def test_a_hole_in_the_sound_is_silence_of_its_length() -> None:
    tone = "sine=frequency=440:sample_rate=16000:duration=6"
    holed = "aselect='not(between(t,2,4))'"
    path = footage.drawn(["-f", "lavfi", "-i", tone, "-af", holed, "-c:a", "flac"], "mkv")
    samples = await heard(path, await facts_of(path))
    assert len(samples) / RATE == pytest.approx(6, abs=0.1)
    assert float(np.abs(samples[int(2.3 * RATE) : int(3.7 * RATE)]).max()) < 0.01
    assert float(np.abs(samples[int(4.5 * RATE) :]).max()) > 0.05


async def test_a_medium_without_sound_is_an_error() -> None:
    clip = footage.shots(1, sound=False)
    with pytest.raises(MediaUnreadable, match="has no sound"):
        await heard(clip.path, await facts_of(clip.path))


async def test_leaving_early_ends_ffmpeg() -> None:
    path = footage.tone(600).path
    facts = await facts_of(path)
    began = time.monotonic()
    async with audio_samples(path, facts, ffmpeg=footage.programs(), chunk_seconds=1) as chunks:
        assert len(await anext(chunks)) == RATE
    assert time.monotonic() - began < 2
    assert not [c for c in psutil.Process().children() if "ffmpeg" in " ".join(c.cmdline())]


async def test_memory_does_not_grow_with_the_medium() -> None:
    path = footage.tone(1800).path
    facts = await facts_of(path)
    sizes: list[int] = []
    async with audio_samples(path, facts, ffmpeg=footage.programs(), chunk_seconds=10) as chunks:
        async for _ in chunks:
            sizes.append(await asyncio.to_thread(lambda: psutil.Process().memory_info().rss))
    assert len(sizes) == 180
    assert sizes[-1] - sizes[10] < 20 << 20
