"""Whether memory is flat in the length of a medium: the peak of one survey, here and in ffmpeg.

`python -m benchmarks.segmentation.memory [FILE]` loops a file (default: one drawn by ffmpeg) to
6 minutes and to 6 hours and surveys each in a process of its own. The loops are Matroska files: of
an mp4, ffmpeg holds the table of all packets, 24 bytes each.
"""

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from promptreel_server.domain.segment import SegmentationMode
from promptreel_server.media.inspect.probe import probe
from promptreel_server.media.process.ffmpeg import locate
from promptreel_server.segmenters import SegmentationRequest, segmenter_for

LENGTHS = {"6 minutes": 360, "6 hours": 21_600}


def main() -> None:
    """Measure both lengths, or, as the child, one file."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("file", type=Path, nargs="?")
    parser.add_argument("--survey", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.survey is not None:
        print(json.dumps(_surveyed(given.survey)))
        return
    with tempfile.TemporaryDirectory() as folder:
        short = _small(given.file, Path(folder))
        for name, seconds in LENGTHS.items():
            command = [sys.executable, "-m", "benchmarks.segmentation.memory", "--survey"]
            looped = str(_looped(short, seconds, Path(folder)))
            told = subprocess.run([*command, looped], capture_output=True, text=True, check=True)
            print(name, told.stdout.strip(), flush=True)


def _surveyed(path: Path) -> dict[str, float]:
    """Cut a file; peaks in MB, this process's before anything was decoded as well."""
    programs = locate()
    facts = asyncio.run(probe(path, ffmpeg=programs))
    request = SegmentationRequest(
        path=path, media_type=facts.media_type, facts=facts, mode=SegmentationMode.CONTENT_AWARE
    )
    segmenter = segmenter_for(request.mode, request.media_type, programs)
    before, started = _peak(resource.RUSAGE_SELF), time.process_time()
    cut = asyncio.run(segmenter.cut(request, lambda *_: None))
    return {
        "media_hours": round(float(facts.duration) / 3600, 3),
        "segments": len(cut.spans),
        "server_mb_before": before,
        "server_mb": _peak(resource.RUSAGE_SELF),
        "ffmpeg_mb": _peak(resource.RUSAGE_CHILDREN),
        "server_cpu_s": round(time.process_time() - started, 1),
    }


def _peak(who: int) -> float:
    return round(resource.getrusage(who).ru_maxrss / 1024, 1)


def _small(file: Path | None, folder: Path) -> Path:
    """Six minutes or less of small pictures and sound."""
    target = folder / "small.mp4"
    source = ["-i", str(file)] if file else _drawn()
    command = [str(locate().ffmpeg), "-nostdin", "-v", "error", *source, "-t", "120"]
    command += ["-s", "160x90", "-pix_fmt", "yuv420p", "-r", "25", "-c:v", "libx264"]
    command += ["-preset", "veryfast", "-b:v", "60k", "-c:a", "aac", "-ar", "16000", "-ac", "1"]
    subprocess.run([*command, str(target)], check=True)
    return target


def _drawn() -> list[str]:
    """Four scenes of 30 s, a tone over them."""
    scenes = ("testsrc2", "smptebars", "mandelbrot", "life=ratio=0.3:death_color=gray")
    inputs = []
    for scene in scenes:
        joint = ":" if "=" in scene else "="
        inputs += ["-f", "lavfi", "-i", f"{scene}{joint}size=160x90:rate=25,trim=duration=30"]
    inputs += ["-f", "lavfi", "-i", "sine=frequency=300:duration=120"]
    joined = "".join(f"[{index}:v]format=yuv420p,setsar=1[v{index}];" for index in range(4))
    joined += "[v0][v1][v2][v3]concat=n=4:v=1[v]"
    return [*inputs, "-filter_complex", joined, "-map", "[v]", "-map", "4:a"]


def _looped(short: Path, seconds: int, folder: Path) -> Path:
    target = folder / f"{seconds}.mkv"
    command = [str(locate().ffmpeg), "-nostdin", "-v", "error", "-stream_loop", "-1"]
    command += ["-i", str(short), "-t", str(seconds), "-c", "copy", str(target)]
    subprocess.run(command, check=True)
    return target


if __name__ == "__main__":
    main()
