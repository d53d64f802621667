"""The demo clip that ships is what its truth, its storyboard and its notice say."""

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from demo.assemble import shot_starts, truth
from demo.programs import find_ffmpeg
from demo.storyboard import FRAME_RATE, SENTENCES, SHOTS

DEMO = Path(__file__).parents[2] / "demo"
CLIP = DEMO / "clip.mp4"
SAMPLE_RATE = 16_000


def _decode(*arguments: str) -> bytes:
    command = [find_ffmpeg(), "-v", "error", "-i", str(CLIP), *arguments, "pipe:1"]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    content: dict[str, Any] = json.loads((DEMO / "truth.json").read_text())
    return content


@pytest.fixture(scope="module")
def frames() -> npt.NDArray[np.float64]:
    small = ("-vf", "scale=64:36:flags=area", "-pix_fmt", "gray")
    raw = _decode("-fps_mode", "passthrough", *small, "-f", "rawvideo")
    return np.frombuffer(raw, np.uint8).reshape(-1, 36, 64).astype(np.float64)


@pytest.fixture(scope="module")
def samples() -> npt.NDArray[np.float64]:
    raw = _decode("-f", "s16le", "-ac", "1", "-ar", str(SAMPLE_RATE))
    return np.frombuffer(raw, "<i2").astype(np.float64) / 32768


def test_the_clip_is_small_enough_to_ship() -> None:
    assert CLIP.stat().st_size < 5_000_000


def test_the_truth_is_what_the_storyboard_makes(told: dict[str, Any]) -> None:
    assert told == truth()


def test_the_clip_has_every_frame_of_the_storyboard(frames: npt.NDArray[np.float64]) -> None:
    assert len(frames) == shot_starts()[-1]


def test_the_picture_jumps_at_the_cuts_and_nowhere_else(
    told: dict[str, Any], frames: npt.NDArray[np.float64]
) -> None:
    changes = np.abs(np.diff(frames, axis=0)).mean(axis=(1, 2))
    jumps = (np.flatnonzero(changes > 25) + 1) / FRAME_RATE
    assert jumps.tolist() == told["cuts"]


def test_a_dissolve_ends_on_another_picture_without_a_jump(
    told: dict[str, Any], frames: npt.NDArray[np.float64]
) -> None:
    for start, end in told["dissolves"]:
        first, last = round(start * FRAME_RATE) - 1, round(end * FRAME_RATE)
        assert np.abs(frames[last] - frames[first]).mean() > 25
        assert np.abs(np.diff(frames[first : last + 1], axis=0)).mean(axis=(1, 2)).max() < 8


def test_speech_is_heard_in_every_sentence_and_only_there(
    told: dict[str, Any], samples: npt.NDArray[np.float64]
) -> None:
    spoken = np.zeros(len(samples), bool)
    for sentence in told["speech"]:
        span = slice(*(round(sentence[edge] * SAMPLE_RATE) for edge in ("start_time", "end_time")))
        assert np.sqrt(np.mean(samples[span] ** 2)) > 0.03
        # Breath and the last consonant's fall are no words.
        spoken[max(0, span.start - 5000) : span.stop + 5000] = True
    assert np.sqrt(np.mean(samples[~spoken] ** 2)) < 0.01


def test_the_notice_names_every_piece_with_its_package() -> None:
    notice = (DEMO / "NOTICE.md").read_text()
    for piece in {scene.piece for scene in (*SHOTS, *SENTENCES)}:
        rows = [line for line in notice.splitlines() if f"`{piece.name}`" in line]
        assert len(rows) == 1
        assert f"`{piece.package.name}` {piece.package.version}" in rows[0]
