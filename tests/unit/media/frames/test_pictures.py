"""Frames, thumbnails and previews show what there is to see."""

import io
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from promptreel_server.domain.media import MediaFacts
from promptreel_server.errors import MediaUnreadable
from promptreel_server.media.frames.pictures import Pictures
from promptreel_server.media.frames.representative_frame import choose_stills
from promptreel_server.media.frames.stills import Still
from promptreel_server.media.inspect.probe import probe
from promptreel_server.media.process.child import Limits
from tests import footage

COLOURS = {"red": (255, 0, 0), "lime": (0, 255, 0), "blue": (0, 0, 255)}


@pytest.fixture
def pictures() -> Pictures:
    return Pictures(ffmpeg=footage.programs())


async def facts_of(path: Path) -> MediaFacts:
    return await probe(path, ffmpeg=footage.programs())


def coloured(*options: str, seconds: int = 2, size: str = "320x180", suffix: str = "mp4") -> Path:
    """Draw a red, a lime and a blue shot, so many seconds each."""
    inputs: list[str] = []
    for colour in COLOURS:
        source = f"color={colour}:size={size}:rate=25:duration={seconds},format=yuv444p"
        inputs += ["-f", "lavfi", "-i", source]
    graph = "[0:v][1:v][2:v]concat=n=3[v]"
    return footage.drawn([*inputs, "-filter_complex", graph, "-map", "[v]", *options], suffix)


def colour_of(pixels: NDArray[np.uint8]) -> str:
    mean = pixels.reshape(-1, 3).mean(axis=0)
    return min(COLOURS, key=lambda name: float(np.abs(mean - COLOURS[name]).sum()))


def opened_picture(picture: bytes | None) -> Image.Image:
    assert picture is not None
    return Image.open(io.BytesIO(picture))


async def test_frames_are_those_of_the_instants_asked_for_in_their_order(
    pictures: Pictures,
) -> None:
    path = coloured()
    stills = await pictures.frames(path, await facts_of(path), [5.0, 1.0, 3.0])
    assert [colour_of(still.pixels) for still in stills] == ["blue", "red", "lime"]
    assert [still.at for still in stills] == [5.0, 1.0, 3.0]
    assert stills[0].pixels.shape == (180, 320, 3)


async def test_instants_are_those_of_the_container_s_clock(pictures: Pictures) -> None:
    """A transport stream may begin at one hour."""
    path = coloured("-output_ts_offset", "3600", suffix="ts")
    facts = await facts_of(path)
    assert facts.start > 3600
    start = float(facts.start)
    stills = await pictures.frames(path, facts, [start + 1, start + 5])
    assert [colour_of(still.pixels) for still in stills] == ["red", "blue"]
    chosen = await pictures.representative_frames(path, facts, start + 2, start + 4, 1)
    assert start + 2 <= chosen[0].at < start + 4


async def test_more_instants_than_one_run_seeks_are_all_answered(pictures: Pictures) -> None:
    path = coloured()
    times = [0.25 * step for step in range(20)]
    stills = await pictures.frames(path, await facts_of(path), times)
    assert [still.at for still in stills] == times


async def test_after_the_last_frame_the_last_one_still_stands(pictures: Pictures) -> None:
    """Sound may outlast pictures."""
    path = coloured()
    facts = await facts_of(path)
    assert colour_of((await pictures.frames(path, facts, [30.0]))[0].pixels) == "blue"
    chosen = await pictures.representative_frames(path, facts, 8.0, 10.0, 2)
    assert [colour_of(still.pixels) for still in chosen] == ["blue"]
    thumbnail = opened_picture(await pictures.thumbnail(path, facts, 30.0))
    assert colour_of(np.asarray(thumbnail)) == "blue"


async def test_each_part_of_a_stretch_gives_a_frame(pictures: Pictures) -> None:
    clip = footage.shots(2, 2, 2, sound=False)
    facts = await facts_of(clip.path)
    chosen = await pictures.representative_frames(clip.path, facts, 0, 6, 3)
    assert [int(still.at // 2) for still in chosen] == [0, 1, 2]


async def test_a_long_stretch_is_seen_by_its_keyframes(pictures: Pictures) -> None:
    clip = footage.shots(20, 20, rate="5", sound=False)
    facts = await facts_of(clip.path)
    chosen = await pictures.representative_frames(clip.path, facts, 0, 40, 2)
    assert [int(still.at // 20) for still in chosen] == [0, 1]


async def test_parts_between_keyframes_give_a_frame_too(pictures: Pictures) -> None:
    clip = footage.shots(40, rate="5", sound=False, options=("-g", "1000"))
    facts = await facts_of(clip.path)
    chosen = await pictures.representative_frames(clip.path, facts, 0, 40, 8)
    assert [int(still.at // 5) for still in chosen] == list(range(8))


async def test_a_great_many_frames_are_spread_over_the_whole_stretch(pictures: Pictures) -> None:
    clip = footage.shots(8, sound=False)
    facts = await facts_of(clip.path)
    chosen = await pictures.representative_frames(clip.path, facts, 0, 8, 100)
    assert [int(still.at * 2) for still in chosen] == list(range(16))


async def test_black_is_passed_over_where_there_is_something_to_see(pictures: Pictures) -> None:
    black = "color=black:size=320x180:rate=25:duration=3,format=yuv420p"
    bars = "testsrc2=size=320x180:rate=25:duration=1,format=yuv420p"
    inputs = ["-f", "lavfi", "-i", black, "-f", "lavfi", "-i", bars]
    path = footage.drawn([*inputs, "-filter_complex", "[0:v][1:v]concat=n=2"], "mp4")
    chosen = await pictures.representative_frames(path, await facts_of(path), 0, 4, 1)
    assert chosen[0].at >= 3


async def test_all_black_is_answered_as_it_is(pictures: Pictures) -> None:
    source = "color=black:size=320x180:rate=25:duration=3,format=yuv420p"
    path = footage.drawn(["-f", "lavfi", "-i", source], "mp4")
    chosen = await pictures.representative_frames(path, await facts_of(path), 0, 3, 3)
    assert len(chosen) == 1


async def test_large_pictures_are_scaled_down_and_small_ones_left(pictures: Pictures) -> None:
    large = coloured(size="1920x1080", seconds=1)
    stills = await pictures.frames(large, await facts_of(large), [0.5])
    assert stills[0].pixels.shape == (360, 640, 3)


async def test_pixels_that_are_not_square_are_made_so(pictures: Pictures) -> None:
    path = coloured("-aspect", "32:9")
    stills = await pictures.frames(path, await facts_of(path), [0.5])
    assert stills[0].pixels.shape == (180, 640, 3)


async def test_a_photograph_is_shown_upright(pictures: Pictures, tmp_path: Path) -> None:
    photograph = Image.new("RGB", (64, 32), COLOURS["red"])
    photograph.paste(COLOURS["blue"], (0, 0, 32, 32))
    exif = photograph.getexif()
    exif[0x0112] = 6
    path = tmp_path / "photograph.jpg"
    photograph.save(path, exif=exif, quality=95)
    facts = await facts_of(path)
    (still,) = await pictures.representative_frames(path, facts, 0, 0, 1)
    assert still.pixels.shape == (64, 32, 3)
    assert colour_of(still.pixels[:20]) == "blue"
    assert opened_picture(await pictures.thumbnail(path, facts, 0)).size == (32, 64)


async def test_a_thumbnail_is_a_small_jpeg(pictures: Pictures) -> None:
    path = coloured(size="1920x1080", seconds=1)
    thumbnail = opened_picture(await pictures.thumbnail(path, await facts_of(path), 1.5))
    assert (thumbnail.format, thumbnail.size) == ("JPEG", (320, 180))
    assert colour_of(np.asarray(thumbnail)) == "lime"


async def test_a_preview_is_a_small_gif_that_spans_the_medium(pictures: Pictures) -> None:
    path = coloured(seconds=10)
    preview = opened_picture(await pictures.preview_gif(path, await facts_of(path)))
    assert preview.format == "GIF"
    assert max(preview.size) <= 320
    seen, lasting = [], 0
    for index in range(getattr(preview, "n_frames", 1)):
        preview.seek(index)
        lasting += preview.info["duration"]
        seen.append(colour_of(np.asarray(preview.convert("RGB"))))
    assert list(dict.fromkeys(seen)) == ["red", "lime", "blue"]
    assert 2000 <= lasting <= 3200


async def test_even_one_frame_has_a_preview(pictures: Pictures) -> None:
    source = "testsrc2=size=320x180:rate=25,format=yuv420p"
    path = footage.drawn(["-f", "lavfi", "-i", source, "-frames:v", "1"], "mp4")
    assert opened_picture(await pictures.preview_gif(path, await facts_of(path))).format == "GIF"


async def test_sound_alone_has_no_pictures(pictures: Pictures) -> None:
    path = footage.tone(2).path
    facts = await facts_of(path)
    assert await pictures.thumbnail(path, facts, 1) is None
    assert await pictures.preview_gif(path, facts) is None
    assert await pictures.frames(path, facts, [1]) == []
    assert await pictures.representative_frames(path, facts, 0, 2, 3) == []


async def test_an_image_does_not_move() -> None:
    path = footage.still().path
    preview = await Pictures(ffmpeg=footage.programs()).preview_gif(path, await facts_of(path))
    assert preview is None


async def test_a_decoder_that_takes_too_long_is_given_up() -> None:
    path = coloured()
    facts = await facts_of(path)
    hurried = Pictures(ffmpeg=footage.programs(), limits=Limits(wall_seconds=0.0))
    with pytest.raises(MediaUnreadable, match="more time or memory"):
        await hurried.representative_frames(path, facts, 0, 1, 1)
    with pytest.raises(MediaUnreadable, match="more time or memory"):
        await hurried.frames(path, facts, [0.5])
    with pytest.raises(MediaUnreadable, match="more time or memory"):
        await hurried.thumbnail(path, facts, 0.5)


async def test_a_medium_that_breaks_off_gives_what_it_has(
    pictures: Pictures, tmp_path: Path
) -> None:
    clip = footage.shots(4, 4, options=("-movflags", "+faststart"))
    whole = clip.path.read_bytes()
    path = tmp_path / "cut.mp4"
    path.write_bytes(whole[: len(whole) // 2])
    facts = await facts_of(path)
    assert facts.duration < Fraction(7)
    assert await pictures.thumbnail(path, facts, 7.5)
    assert len(await pictures.representative_frames(path, facts, 0, float(facts.end), 2)) == 2


def still(at: float, *, noise: int, seed: int = 1) -> Still:
    drawn = np.random.default_rng(seed).integers(0, noise + 1, (40, 60, 3))
    return Still(at=at, pixels=drawn.astype(np.uint8))


def test_the_sharper_frame_is_chosen() -> None:
    found = [still(2, noise=40), still(3, noise=200), still(4, noise=80)]
    assert [chosen.at for chosen in choose_stills(found, 0, 6, 1)] == [3]


def test_a_frame_at_the_edge_gives_way_to_one_nearly_as_sharp_inside() -> None:
    found = [still(0.1, noise=200), still(3, noise=150)]
    assert [chosen.at for chosen in choose_stills(found, 0, 6, 1)] == [3]


def test_a_part_without_a_frame_gives_none() -> None:
    found = [still(1, noise=100), still(1.5, noise=200)]
    assert [chosen.at for chosen in choose_stills(found, 0, 6, 3)] == [1.5]
