"""Runs the scorers that come with a set of media, as the scripts they are."""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class ShotScore:
    """How well shots were found; `types` are hits and truths of each type of boundary."""

    precision: float
    recall: float
    f1: float
    macro_f1: float
    types: Mapping[str, tuple[int, int]]
    traps: Mapping[str, tuple[int, int]]
    missed: Mapping[str, list[Any]]
    false: Mapping[str, list[Any]]


@dataclass(frozen=True, kw_only=True)
class SoundScore:
    """How well sound was cut, in the scorer's own words and as numbers."""

    speech_f1: float
    broken: int
    sentences: int
    found: int
    wanted: int
    cuts: int


def score_shots(scripts: Path, media: Path, times: Mapping[str, list[float]]) -> ShotScore:
    """Score the seconds at which shots begin, by file name within the set."""
    predicted = {file: {"times": seconds} for file, seconds in times.items()}
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "score.json"
        _run(scripts / "score_shots.py", media, predicted, Path(folder), "--json", str(told))
        score = json.loads(told.read_text())
    precision, recall, f1 = score["micro"]
    return ShotScore(
        precision=precision,
        recall=recall,
        f1=f1,
        macro_f1=score["macro_f1"],
        types={name: (hits, truths) for name, (hits, truths) in score["types"].items()},
        traps={name: (fell, set_) for name, (fell, set_) in score["traps"].items()},
        missed={name: file["misses"] for name, file in score["files"].items() if file["misses"]},
        false={name: file["false"] for name, file in score["files"].items() if file["false"]},
    )


def score_sound(
    scripts: Path, media: Path, answers: Mapping[str, dict[str, list[list[float]]]]
) -> SoundScore:
    """Score speech and segments, by file name within the set."""
    with tempfile.TemporaryDirectory() as folder:
        told = _run(scripts / "score_audio.py", media, dict(answers), Path(folder))
    speech = re.search(r"speech frames: .* F1 ([\d.]+)", told)
    cuts = re.search(r"broken sentences (\d+)/(\d+), .* found (\d+)/(\d+), cuts made (\d+)", told)
    if speech is None or cuts is None:
        raise ValueError(f"the scorer said something else than expected: {told[-300:]}")
    broken, sentences, found, wanted, made = map(int, cuts.groups())
    return SoundScore(
        speech_f1=float(speech.group(1)),
        broken=broken,
        sentences=sentences,
        found=found,
        wanted=wanted,
        cuts=made,
    )


def _run(script: Path, media: Path, predicted: object, folder: Path, *more: str) -> str:
    file = folder / "predicted.json"
    file.write_text(json.dumps(predicted))
    command = [sys.executable, str(script), "--set", str(media), "--pred", str(file), *more]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
