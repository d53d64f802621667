"""How well and how cheaply shots are found and sound is cut, beside what others would install.

Run from the project's folder: `python -m benchmarks.segmentation [--set DIR] [--rounds 1]`. The
set is a folder with `manifest.json`, its files and their truths; its `scripts` score. For each
file all detectors take turns, so that what else the machine does falls on all of them. CPU is
user + system time of this process and its children; of several rounds the median counts.
"""

import argparse
import json
import resource
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.segmentation.detectors import ADAPTIVE, COSTS_ONLY, FULL_DECODE, OURS, detectors
from benchmarks.segmentation.listeners import listeners
from benchmarks.segmentation.scoring import ShotScore, score_shots, score_sound
from promptreel_server.media.process.ffmpeg import locate

ROOT = Path(__file__).parents[2]
MEDIA = ROOT.parent / "shared" / "media"


def main() -> None:
    """Measure, and print three tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--set", type=Path, default=MEDIA, help="the folder with manifest.json")
    parser.add_argument("--scripts", type=Path, help="the scorers (default: those of the set)")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--detail", action="store_true", help="list what ours missed or made up")
    given = parser.parse_args()
    scripts = given.scripts or _scripts(given.set)
    console = Console(width=120)
    warnings.simplefilter("ignore")
    _shots(console, given.set, scripts, given.rounds, detail=given.detail)
    _sound(console, given.set, scripts)


def _scripts(media: Path) -> Path:
    return media / "scripts" if (media / "scripts").is_dir() else MEDIA / "scripts"


def _files(media: Path, truth_key: str) -> Iterator[tuple[str, float]]:
    """The files whose truth tells of this: name and duration in seconds."""
    for entry in json.loads((media / "manifest.json").read_text())["files"]:
        if entry.get("truth"):
            truth: dict[str, Any] = json.loads((media / entry["truth"]).read_text())
            if truth_key in truth or truth_key in truth.get("audio", {}):
                yield entry["file"], truth["duration"]


def _shots(console: Console, media: Path, scripts: Path, rounds: int, *, detail: bool) -> None:
    times: dict[str, dict[str, list[float]]] = defaultdict(dict)
    cpu: dict[str, list[float]] = defaultdict(lambda: [0.0] * rounds)
    compared = detectors(locate())
    files = dict(_files(media, "boundaries"))
    for turn in range(rounds):
        for file in files:
            for name, detect in compared.items():
                times[name][file], seconds = _timed(detect, media / file)
                cpu[name][turn] += seconds
    spent = {name: median(seconds) for name, seconds in cpu.items()}
    scores = {name: score_shots(scripts, media, found) for name, found in times.items()}
    console.print(_quality(scores, spent, sum(files.values())))
    console.print(_ratios(spent))
    ours = scores[OURS]
    console.print("found:", "  ".join(f"{k} {a}/{b}" for k, (a, b) in sorted(ours.types.items())))
    console.print("traps:", "  ".join(f"{k} {a}/{b}" for k, (a, b) in sorted(ours.traps.items())))
    if detail:
        for name in {*ours.missed, *ours.false}:
            console.print(name, "missed", ours.missed.get(name), "made up", ours.false.get(name))


def _timed(detect: Callable[[Path], list[float]], path: Path) -> tuple[list[float], float]:
    before = _cpu_seconds()
    found = detect(path)
    return found, _cpu_seconds() - before


def _cpu_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _quality(scores: Mapping[str, ShotScore], spent: Mapping[str, float], duration: float) -> Table:
    table = Table("detector", "P", "R", "F1", "macro F1", "hard cuts", "CPU s", "x real time")
    for name, score in scores.items():
        hits, truths = score.types.get("cut", (0, 0))
        found = [f"{part:.3f}" for part in (score.precision, score.recall, score.f1)]
        cells = [*found, f"{score.macro_f1:.3f}", f"{hits}/{truths}"]
        if name in COSTS_ONLY:
            cells = [""] * len(cells)
        table.add_row(name, *cells, f"{spent[name]:.1f}", f"{duration / spent[name]:.0f}")
    return table


def _ratios(spent: Mapping[str, float]) -> Table:
    table = Table("CPU of promptreel, relative to", "ratio", "wanted")
    wanted = {ADAPTIVE: "<= 0.5", FULL_DECODE: "< 1.2"}
    for name, seconds in spent.items():
        if name != OURS:
            table.add_row(name, f"{spent[OURS] / seconds:.2f}", wanted.get(name, ""))
    return table


def _sound(console: Console, media: Path, scripts: Path) -> None:
    table = Table("cutter", "speech F1", "broken sentences", "pauses and edges found", "cuts")
    files = dict(_files(media, "sentences"))
    if not files:
        return
    for name, listen in listeners(locate()).items():
        score = score_sound(scripts, media, {file: listen(media / file) for file in files})
        table.add_row(
            name,
            f"{score.speech_f1:.3f}",
            f"{score.broken}/{score.sentences}",
            f"{score.found}/{score.wanted} = {score.found / max(1, score.wanted):.2f}",
            str(score.cuts),
        )
    console.print(table)


if __name__ == "__main__":
    main()
