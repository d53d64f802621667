"""What happens within one shot is no boundary, however much changes; what looks like it, is."""

import numpy as np
import pytest

from promptreel_server.segmenters.shots.footage import HEIGHT, WIDTH
from tests.unit.segmenters.scenes import RATE, Frames, Place, begins, scene

LUMA = WIDTH * HEIGHT


def luma(frames: Frames) -> Frames:
    """The light of some frames, as a view (n, HEIGHT, WIDTH)."""
    return frames[:, :LUMA].reshape(-1, HEIGHT, WIDTH)


@pytest.mark.parametrize("shutter", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(("count", "start", "end"), [(5, 0.6, 2.2), (8, 3.2, 0.6), (12, 0.6, 3.3)])
def test_a_whip_pan_to_another_part_of_the_place_is_no_boundary(
    count: int, start: float, end: float, shutter: float
) -> None:
    place = Place(3, across=4)
    pan = place.panned(start, end, count, shutter=shutter)
    assert begins(place.held(start), pan, place.held(end)) == []


@pytest.mark.parametrize(("start", "end"), [(1.0, 3.0), (2.6, 1.0)])
@pytest.mark.parametrize("count", [3, 6, 10])
def test_a_crash_zoom_is_no_boundary(start: float, end: float, count: int) -> None:
    place = Place(4)
    zooms = start * (end / start) ** (np.arange(1, count) / count)
    zoomed = place.seen(*((0.5, zoom) for zoom in zooms))
    assert begins(place.held(0.5, zoom=start), zoomed, place.held(0.5, zoom=end)) == []


def test_a_closer_view_from_one_frame_to_the_next_is_a_cut() -> None:
    place = Place(4)
    assert begins(place.held(0.5), place.held(0.5, zoom=2.5)) == [2.0]


@pytest.mark.parametrize("speed", [0.08, 0.2])
def test_a_cut_between_two_fast_pans_is_found(speed: float) -> None:
    before = Place(5, across=6).panned(0.6, 0.6 + 20 * speed, 20, shutter=0.5)
    after = Place(6, across=6).panned(5.0, 5.0 - 20 * speed, 20, shutter=0.5)
    assert begins(before, after) == [20 / RATE]


def test_a_cut_from_a_fast_pan_to_a_still_picture_is_found() -> None:
    pan = Place(5, across=6).panned(0.6, 5.0, 25, shutter=0.5)
    assert begins(pan, scene(8)) == [1.0]


@pytest.mark.parametrize(("top", "bottom"), [(12, 18), (0, 5), (9, 14)])
def test_a_banner_over_the_whole_width_is_no_boundary(top: int, bottom: int) -> None:
    shot = scene(1, 6)
    banner = scene(2, 1)[0, :LUMA].reshape(HEIGHT, WIDTH)
    luma(shot)[50:100, top:bottom] = banner[top:bottom]
    assert begins(shot) == []


def test_a_banner_that_slides_in_is_no_boundary() -> None:
    shot = scene(1, 6)
    for index in range(50, 150):
        luma(shot)[index, 11:17, : 4 * (index - 49)] = 230
    assert begins(shot) == []


def test_a_picture_in_the_picture_whose_colours_agree_here_and_there_is_no_boundary() -> None:
    shot = scene(1, 6)
    inset = luma(shot)[0, 8:16, 18:30].copy()
    inset[:, ::4] += 90
    inset[:, 1::4] += 70
    inset[::3] -= 60
    luma(shot)[60:, 8:16, 18:30] = inset
    assert begins(shot) == []


@pytest.mark.parametrize("covered", [0, 4, 9])
def test_something_that_passes_close_to_the_camera_is_no_boundary(covered: int) -> None:
    shot = scene(1, 6, drift=0.02)
    passing = luma(scene(9, 6))
    for index in range(16 + covered):
        edges = (WIDTH - 4 * index, WIDTH - 4 * (index - 8 - covered))
        left, right = max(0, edges[0]), min(WIDTH, edges[1])
        luma(shot)[60 + index, :, left:right] = passing[60 + index, :, left:right] * 0.4
    assert begins(shot) == []


def test_a_step_of_exposure_along_a_curve_is_no_boundary() -> None:
    shot = scene(1, 5)
    luma(shot)[60:] = 255 * (luma(shot)[60:] / 255) ** 2.4
    shot[60:, LUMA:] = 128 + (shot[60:, LUMA:] - 128) * 0.6 + 6
    assert begins(shot) == []
