"""Every segmenter keeps the same promises, on real files."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest

from promptreel_server.domain.media import MediaType
from promptreel_server.domain.segment import SegmentationMode
from promptreel_server.errors import MediaUnreadable
from promptreel_server.media.inspect.probe import probe
from promptreel_server.segmenters import (
    Cut,
    Limits,
    SegmentationRequest,
    Signals,
    Span,
    fingerprint,
    segmenter_for,
)
from tests.footage import EVENTS, Clip, drawn, event, programs, shots, still, tone
from tests.processes import children_with_open

SMART, CONTENT, FIXED = (
    SegmentationMode.SMART,
    SegmentationMode.CONTENT_AWARE,
    SegmentationMode.FIXED,
)


async def asked(path: Path, mode: SegmentationMode) -> SegmentationRequest:
    facts = await probe(path, ffmpeg=programs())
    return SegmentationRequest(
        path=path,
        media_type=facts.media_type,
        facts=facts,
        mode=SegmentationMode.IMAGE if facts.media_type is MediaType.IMAGE else mode,
        fixed_duration=2 if mode is FIXED else None,
    )


async def cut(request: SegmentationRequest) -> Cut:
    segmenter = segmenter_for(request.mode, request.media_type, programs())
    return await segmenter.cut(request, lambda *_: None)


def two_scenes(
    rate: str = "25", size: tuple[int, int] = (320, 180), *, sound: bool = True, suffix: str = "mp4"
) -> Clip:
    return shots(3, 3.2, rate=rate, size=size, sound=sound, suffix=suffix)


FILES: dict[str, Callable[[], Path]] = {
    "25 fps": lambda: two_scenes().path,
    "23.976 fps": lambda: two_scenes(rate="24000/1001").path,
    "29.97 fps": lambda: two_scenes(rate="30000/1001").path,
    "upright": lambda: two_scenes(size=(180, 320)).path,
    "no sound": lambda: two_scenes(sound=False).path,
    "transport stream": lambda: two_scenes(suffix="ts").path,
    "one frame": lambda: shots(0.04, sound=False).path,
    "all black": lambda: drawn(["-f", "lavfi", "-i", "color=black:size=320x180:d=5"], "mp4"),
    "sound": lambda: tone(65).path,
    "a moment of sound": lambda: tone(0.05).path,
    "image": lambda: still().path,
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("mode", [SMART, CONTENT, FIXED])
async def test_segments_cover_the_medium_without_gap_or_overlap(
    name: str, mode: SegmentationMode
) -> None:
    request = await asked(FILES[name](), mode)
    if request.media_type is MediaType.AUDIO and mode is SMART:
        pytest.skip("sound has no shots")
    spans = (await cut(request)).spans
    assert spans[0].start == request.facts.start
    assert spans[-1].end == request.facts.end
    assert all(before.end == after.start for before, after in pairwise(spans))
    assert all(span.duration <= Limits().longest for span in spans)


@pytest.mark.parametrize("rate", ["25", "24000/1001", "30000/1001", "60"])
async def test_a_shot_begins_at_the_exact_time_of_its_first_frame(rate: str) -> None:
    clip = shots(3, 3.2, 4, rate=rate)
    found = (await cut(await asked(clip.path, SMART))).signals.shots
    assert found is not None
    begins = [shot.start for shot in found[1:]]
    assert [float(begin) for begin in begins] == pytest.approx(
        [float(true) for true in clip.cuts], abs=0.001
    )


@pytest.mark.parametrize("name", EVENTS)
async def test_what_happens_within_a_shot_does_not_end_it(name: str) -> None:
    clip = event(name)
    shots_found = (await cut(await asked(clip.path, SMART))).signals.shots or ()
    assert [shot.start for shot in shots_found[1:]] == list(clip.cuts)


async def test_times_are_those_of_a_container_that_starts_late() -> None:
    clip = shots(3, 3.2, options=("-output_ts_offset", "2.5"), suffix="mkv")
    result = await cut(await asked(clip.path, SMART))
    shot = (result.signals.shots or ())[1]
    assert float(shot.start) == pytest.approx(2.5 + float(clip.cuts[0]), abs=0.01)


async def test_frames_of_uneven_length_keep_their_times() -> None:
    clip = shots(3, 3.2, sound=False)
    uneven = ["-i", str(clip.path), "-vf", "select='not(eq(mod(n,7),3))'", "-fps_mode", "vfr"]
    result = await cut(await asked(drawn(uneven, "mkv"), SMART))
    shot = (result.signals.shots or ())[1]
    assert float(shot.start) == pytest.approx(float(clip.cuts[0]), abs=0.045)


async def test_what_is_known_is_not_decoded_again(tmp_path: Path) -> None:
    request = await asked(two_scenes().path, SMART)
    first = await cut(request)
    gone = replace(request, path=tmp_path / "gone.mp4", mode=CONTENT, known=first.signals)
    again = await cut(gone)
    assert again.signals == first.signals
    assert again.spans[-1].end == first.spans[-1].end


async def test_signals_survive_being_stored() -> None:
    signals = (await cut(await asked(two_scenes().path, SMART))).signals
    assert Signals.from_json(signals.to_json()) == signals


async def test_signals_of_an_older_algorithm_are_found_anew() -> None:
    request = await asked(two_scenes().path, SMART)
    old = Signals(version="0", shots=(Span(start=Fraction(0), end=Fraction(1)),), speech=())
    assert len((await cut(replace(request, known=old))).signals.shots or ()) == 2


async def test_progress_rises_from_nothing_to_the_duration() -> None:
    request = await asked(shots(20, 20, 20, size=(640, 360)).path, SMART)
    told: list[tuple[Fraction, Fraction]] = []
    segmenter = segmenter_for(SMART, MediaType.VIDEO, programs())
    await segmenter.cut(request, lambda done, whole: told.append((done, whole)))
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1] == (request.facts.duration, request.facts.duration)
    assert len(told) > 2


async def test_cancelling_stops_ffmpeg_within_a_second() -> None:
    clip = shots(20, 20, 20, size=(640, 360))
    hour = drawn(["-stream_loop", "59", "-i", str(clip.path), "-c", "copy"], "mkv")
    request = await asked(hour, SMART)
    segmenter = segmenter_for(SMART, MediaType.VIDEO, programs())
    begun = asyncio.Event()
    task = asyncio.ensure_future(segmenter.cut(request, lambda *_: begun.set()))
    await begun.wait()
    assert children_with_open(request.path)
    asked_at = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - asked_at < 1
    assert not children_with_open(request.path)


@pytest.mark.parametrize("mode", [SMART, CONTENT])
async def test_a_file_without_anything_to_decode_is_unreadable(
    mode: SegmentationMode, tmp_path: Path
) -> None:
    request = await asked(two_scenes().path, mode)
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(request.path.read_bytes()[:600])
    with pytest.raises(MediaUnreadable):
        await cut(replace(request, path=broken))


async def test_a_fingerprint_changes_with_whatever_changes_the_segments() -> None:
    request = await asked(two_scenes().path, SMART)
    other_limits = replace(request, limits=Limits(longest=Fraction(40)))
    names = {
        fingerprint(request, "a"),
        fingerprint(request, "b"),
        fingerprint(replace(request, mode=CONTENT), "a"),
        fingerprint(replace(request, mode=FIXED, fixed_duration=2), "a"),
        fingerprint(replace(request, mode=FIXED, fixed_duration=3), "a"),
        fingerprint(other_limits, "a"),
    }
    assert len(names) == 6
    assert fingerprint(replace(request, known=Signals()), "a") == fingerprint(request, "a")


async def test_limits_do_not_cut_fixed_media_anew() -> None:
    request = await asked(two_scenes().path, FIXED)
    other_limits = replace(request, limits=Limits(longest=Fraction(40)))
    assert fingerprint(request, "a") == fingerprint(other_limits, "a")


def test_sound_can_not_be_cut_by_shots() -> None:
    with pytest.raises(ValueError, match="audio"):
        segmenter_for(SMART, MediaType.AUDIO)
