"""What is a boundary between shots, and what is none."""

import numpy as np
import pytest

from promptreel_server.segmenters.shots.footage import HEIGHT, WIDTH
from tests.unit.segmenters.scenes import (
    RATE,
    begins,
    blank,
    faded,
    mixed,
    scene,
    wiped,
)

FRAME = 1 / RATE


def test_a_cut_is_found_at_the_first_frame_of_the_new_shot() -> None:
    assert begins(scene(1), scene(2), scene(3)) == [2.0, 4.0]


def test_a_montage_of_shots_of_four_frames_is_cut_at_each_of_them() -> None:
    shots = [scene(seed, 4 * FRAME) for seed in range(1, 8)]
    found = begins(scene(20), *shots, scene(30))
    assert found == pytest.approx([2.0 + 4 * FRAME * index for index in range(8)])


def test_how_the_frames_arrive_does_not_change_what_is_found() -> None:
    parts = [scene(seed, 7.3) for seed in range(1, 12)]
    assert begins(*parts, piece=7) == begins(*parts, piece=1000)


def test_one_picture_for_a_minute_is_one_shot() -> None:
    assert begins(scene(1, 60)) == []


def test_a_camera_that_pans_is_one_shot() -> None:
    assert begins(scene(1, 6, drift=1.5)) == []


@pytest.mark.parametrize("seconds", [0.4, 1.0, 1.6])
def test_a_dissolve_is_found_once_while_it_lasts(seconds: float) -> None:
    (found,) = begins(mixed(scene(1, 4), scene(2, 4), seconds))
    assert 4 - seconds <= found <= 4


@pytest.mark.parametrize("seconds", [0.5, 1.0])
def test_a_wipe_is_found_once_while_it_lasts(seconds: float) -> None:
    (found,) = begins(wiped(scene(1, 4), scene(2, 4), seconds))
    assert 4 - seconds <= found <= 4


def test_a_fade_through_black_is_one_boundary() -> None:
    out, new = faded(scene(1, 3), 0.6, end=True), faded(scene(2, 3), 0.6, end=False)
    (found,) = begins(out, blank(0.4), new)
    assert 2.4 <= found <= 4.0


def test_a_long_black_stretch_is_a_shot_of_its_own() -> None:
    assert begins(scene(1, 3), blank(3), scene(2, 3)) == [3.0, 6.0]


def test_black_before_the_first_picture_belongs_to_it() -> None:
    assert begins(blank(0.8), scene(1, 3)) == []


@pytest.mark.parametrize("light", [16, 250])
def test_two_frames_of_black_or_white_in_a_shot_are_no_boundary(light: float) -> None:
    shot = scene(1, 5)
    assert begins(shot[:60], blank(2 * FRAME, light), shot[62:]) == []


def test_a_flash_that_keeps_some_of_the_picture_is_no_boundary() -> None:
    shot = scene(1, 5)
    shot[60:63] = shot[60:63] * 0.3 + scene(9, 1)[:3] * 0.2 + 140
    assert begins(shot) == []


def test_a_step_of_exposure_is_no_boundary() -> None:
    shot = scene(1, 5)
    shot[60:, : WIDTH * HEIGHT] = shot[60:, : WIDTH * HEIGHT] * 0.6 + 70
    assert begins(shot) == []


def test_a_caption_that_comes_and_goes_is_no_boundary() -> None:
    shot = scene(1, 6)
    luma = shot[:, : WIDTH * HEIGHT].reshape(-1, HEIGHT, WIDTH)
    luma[50:100, 13:17, 2:30] = 20
    luma[50:100, 15, 4:28:2] = 235
    assert begins(shot) == []


def test_bars_that_appear_are_no_boundary() -> None:
    shot = scene(1, 6)
    luma = shot[:, : WIDTH * HEIGHT].reshape(-1, HEIGHT, WIDTH)
    luma[70:, :3], luma[70:, -3:] = 16, 16
    assert begins(shot) == []


def test_a_whip_pan_within_one_scene_is_no_boundary() -> None:
    chance = np.random.default_rng(5)
    panorama = scene(7, 9 * FRAME, drift=2)
    still_before = np.repeat(panorama[:1], 50, axis=0) + chance.normal(0, 1, (50, 864))
    still_after = np.repeat(panorama[-1:], 50, axis=0) + chance.normal(0, 1, (50, 864))
    assert begins(still_before, panorama, still_after) == []
