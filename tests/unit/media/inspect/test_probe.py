"""What a file is, is found out from its bytes."""

import json
import shutil
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from promptreel_server.domain.media import MediaFacts, MediaType
from promptreel_server.errors import MediaUnavailable, UnsupportedMedia
from promptreel_server.media.inspect import extent
from promptreel_server.media.inspect.extent import Extents, measure_extents, presented_end
from promptreel_server.media.inspect.headers import FileHeader, parse_header
from promptreel_server.media.inspect.probe import PROBE_LIMITS, probe
from promptreel_server.media.process.child import Limits
from promptreel_server.media.process.ffmpeg import opened
from tests import footage

PLAYLIST = b"""#EXTM3U
#EXT-X-TARGETDURATION:1
#EXTINF:1,
file:///etc/passwd
#EXT-X-ENDLIST
"""


async def probed(path: Path) -> MediaFacts:
    return await probe(path, ffmpeg=footage.programs())


async def test_a_video_s_facts_are_exact() -> None:
    clip = footage.shots(2, 1.5)
    facts = await probed(clip.path)
    assert facts.media_type is MediaType.VIDEO
    assert (facts.start, facts.duration) == (Fraction(0), clip.duration)
    assert (facts.width, facts.height) == (320, 180)
    assert facts.frame_rate == 25
    assert (facts.video_codec, facts.audio_codec) == ("h264", "aac")
    assert facts.streams == ("video h264 320x180", "audio aac 44100 Hz 1 ch")


async def test_the_rate_of_television_is_no_rounded_number() -> None:
    clip = footage.shots(1, 1, rate="30000/1001", sound=False)
    facts = await probed(clip.path)
    assert facts.frame_rate == Fraction(30000, 1001)
    assert facts.duration == clip.duration
    assert not facts.has_audio


async def test_a_name_says_nothing(tmp_path: Path) -> None:
    shutil.copy(footage.tone(1).path, tmp_path / "holiday.mp4")
    shutil.copy(footage.shots(1).path, tmp_path / "notes.txt")
    assert (await probed(tmp_path / "holiday.mp4")).media_type is MediaType.AUDIO
    assert (await probed(tmp_path / "notes.txt")).media_type is MediaType.VIDEO


async def test_a_cover_does_not_make_a_song_a_video() -> None:
    song, cover = footage.tone(1, suffix="mp3"), footage.still(suffix="jpg")
    inputs = ["-i", str(song.path), "-i", str(cover.path)]
    maps = ["-map", "0", "-map", "1", "-c", "copy", "-disposition:v", "attached_pic"]
    facts = await probed(footage.drawn([*inputs, *maps], "mp3"))
    assert facts.media_type is MediaType.AUDIO
    assert not facts.has_video


async def test_an_image_has_a_size_and_no_duration() -> None:
    facts = await probed(footage.still(suffix="jpg").path)
    assert facts.media_type is MediaType.IMAGE
    assert (facts.width, facts.height) == (320, 180)
    assert facts.duration == 0


@pytest.mark.parametrize("suffix", ["jpg", "webp"])
async def test_a_photograph_taken_upright_is_measured_upright(suffix: str, tmp_path: Path) -> None:
    photograph = Image.new("RGB", (64, 32), (255, 0, 0))
    exif = photograph.getexif()
    exif[0x0112] = 6
    photograph.save(tmp_path / f"photo.{suffix}", exif=exif)
    facts = await probed(tmp_path / f"photo.{suffix}")
    assert (facts.width, facts.height, facts.rotation) == (32, 64, 270)


async def test_a_gif_that_moves_is_a_video_and_one_that_does_not_an_image() -> None:
    moving = await probed(footage.shots(1, sound=False, suffix="gif").path)
    frozen = await probed(footage.still(suffix="gif").path)
    assert (moving.media_type, frozen.media_type) == (MediaType.VIDEO, MediaType.IMAGE)


async def test_a_stream_without_a_length_is_measured_by_its_packets() -> None:
    live = ("-c:v", "libvpx", "-deadline", "realtime", "-live", "1")
    clip = footage.shots(2, 1, suffix="webm", options=live, sound=False)
    facts = await probed(clip.path)
    assert abs(facts.duration - clip.duration) < Fraction(1, 100)


async def test_a_file_cut_off_in_the_middle_is_as_long_as_what_is_left(tmp_path: Path) -> None:
    clip = footage.shots(4, 4, options=("-movflags", "+faststart"))
    whole = clip.path.read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) * 6 // 10])
    facts = await probed(tmp_path / "cut.mp4")
    assert 2 < facts.duration < 7


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "The file is empty."),
        (b"What is written here is no media.\n" * 50, "no media that can be read"),
        (
            b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
            "kind 'hls' are not",
        ),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "kind 'concat' are not"),
    ],
    ids=["empty", "text", "playlist", "script"],
)
async def test_what_is_no_media_is_refused_with_a_sentence(
    content: bytes, sentence: str, tmp_path: Path
) -> None:
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    with pytest.raises(UnsupportedMedia, match=sentence):
        await probed(path)


async def test_pictures_too_large_to_decode_are_refused_by_size(tmp_path: Path) -> None:
    header = b"GIF89a" + (20_000).to_bytes(2, "little") * 2 + b"\x80\0\0\0\0\0\xff\xff\xff"
    frame = b",\0\0\0\0" + (20_000).to_bytes(2, "little") * 2 + b"\0\x02\x02D\x01\0;"
    path = tmp_path / "bomb.gif"
    path.write_bytes(header + frame)
    with pytest.raises(UnsupportedMedia, match="20000 x 20000 pixels"):
        await probed(path)


async def test_media_longer_than_allowed_is_refused() -> None:
    clip = footage.shots(2)
    with pytest.raises(UnsupportedMedia, match="at most 1 s"):
        await probe(clip.path, ffmpeg=footage.programs(), longest=Fraction(1))


async def test_a_probe_that_takes_too_long_is_given_up() -> None:
    clip = footage.shots(2)
    with pytest.raises(UnsupportedMedia, match="more time or memory"):
        await probe(clip.path, ffmpeg=footage.programs(), limits=Limits(wall_seconds=0.0))


async def test_reading_packets_that_takes_too_long_is_given_up_as_such(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not as a group of errors, though several children work at once."""

    async def hurried(*arguments: Any, **options: Any) -> Extents:
        return await measure_extents(*arguments, **options | {"limits": Limits(wall_seconds=0.0)})

    monkeypatch.setattr("promptreel_server.media.inspect.probe.measure_extents", hurried)
    monkeypatch.setattr(extent, "READ_BYTES_A_SECOND", 1e12)
    with pytest.raises(UnsupportedMedia, match="more time or memory"):
        await probed(footage.shots(2).path)


async def test_an_ffmpeg_that_knows_no_descriptors_finds_the_same() -> None:
    clip = footage.shots(2, 1.5)
    older = replace(footage.programs(), reads_descriptors=False)
    assert await probe(clip.path, ffmpeg=older) == await probed(clip.path)


async def test_a_missing_file_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(MediaUnavailable):
        await probed(tmp_path / "gone.mp4")


def header_of(container: str, end: Fraction | None, like: FileHeader) -> FileHeader:
    return FileHeader(container=container, start=like.start, end=end, streams=like.streams)


async def header(path: Path) -> FileHeader:
    facts = await probed(path)
    stream = {"index": 0, "codec_type": "video", "codec_name": "h264", "start_pts": 0}
    stream["time_base"] = f"{facts.time_base.numerator}/{facts.time_base.denominator}"
    said = {"format": {"format_name": facts.container, "start_time": "0", "duration": "40"}}
    found = parse_header(json.dumps(said | {"streams": [stream]}).encode())
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("claimed", "whole"), [(40, False), (39, False), (1_000_000, True), (20, True), (None, True)]
)
async def test_of_a_long_file_only_the_end_is_read_unless_its_header_lies(
    claimed: int | None, whole: bool
) -> None:
    clip = footage.shots(20, 20, rate="5", sound=False)
    like = await header(clip.path)
    claim = header_of(like.container, None if claimed is None else Fraction(claimed), like)
    with opened(clip.path) as descriptor:
        extents = await measure_extents(
            descriptor,
            clip.path.stat().st_size,
            claim,
            ffmpeg=footage.programs(),
            limits=PROBE_LIMITS,
            small=0,
        )
    assert extents.whole is whole
    assert presented_end(extents, claim) == 40


async def test_a_transport_stream_whose_clock_begins_anew_is_refused(tmp_path: Path) -> None:
    once = footage.shots(3, suffix="ts").path.read_bytes()
    (tmp_path / "twice.ts").write_bytes(once + once)
    with pytest.raises(UnsupportedMedia, match="jumps back by"):
        await probed(tmp_path / "twice.ts")
