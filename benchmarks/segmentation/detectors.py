"""The shot detectors that are compared: each takes a file and answers when new shots begin."""

import asyncio
import re
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from scenedetect import AdaptiveDetector, ContentDetector, SceneManager, open_video
from scenedetect.detector import SceneDetector

from promptreel_server.domain.media import MediaFacts
from promptreel_server.domain.segment import SegmentationMode
from promptreel_server.media.inspect.probe import probe
from promptreel_server.media.process.ffmpeg import Ffmpeg
from promptreel_server.segmenters import SegmentationRequest, survey

Detector = Callable[[Path], list[float]]
"""Seconds on the container's clock at which a shot other than the first begins."""

OURS = "promptreel"
PROBE = "promptreel's probe, once at upload"
FULL_DECODE = "ffmpeg -f null (no detection)"
ADAPTIVE = "PySceneDetect Adaptive"
COSTS_ONLY = frozenset({PROBE, FULL_DECODE})
"""What finds nothing, and tells what something costs."""
SHORT_SCENE_FRAMES = 4


def detectors(programs: Ffmpeg) -> Mapping[str, Detector]:
    """All of them by name, to be called in this order on each file."""
    facts: dict[Path, MediaFacts] = {}
    return {
        PROBE: lambda path: _probed(programs, path, facts),
        OURS: lambda path: asyncio.run(_our_shots(programs, path, facts[path])),
        ADAPTIVE: lambda path: _pyscenedetect(path, AdaptiveDetector()),
        f"{ADAPTIVE}, min_scene_len {SHORT_SCENE_FRAMES}": lambda path: _pyscenedetect(
            path, AdaptiveDetector(min_scene_len=SHORT_SCENE_FRAMES)
        ),
        "PySceneDetect Content": lambda path: _pyscenedetect(path, ContentDetector()),
        f"PySceneDetect Content, min_scene_len {SHORT_SCENE_FRAMES}": lambda path: _pyscenedetect(
            path, ContentDetector(min_scene_len=SHORT_SCENE_FRAMES)
        ),
        "ffmpeg scdet": lambda path: _scdet(programs, path),
        FULL_DECODE: lambda path: _full_decode(programs, path),
    }


def _probed(programs: Ffmpeg, path: Path, facts: dict[Path, MediaFacts]) -> list[float]:
    """What an upload does before any run."""
    facts[path] = asyncio.run(probe(path, ffmpeg=programs))
    return []


async def _our_shots(programs: Ffmpeg, path: Path, facts: MediaFacts) -> list[float]:
    request = SegmentationRequest(
        path=path, media_type=facts.media_type, facts=facts, mode=SegmentationMode.SMART
    )
    signals = await survey(programs, request, lambda *_: None, listen=False)
    return [float(shot.start) for shot in (signals.shots or ())[1:]]


def _pyscenedetect(path: Path, detector: SceneDetector) -> list[float]:
    manager = SceneManager()
    manager.add_detector(detector)
    manager.detect_scenes(open_video(str(path)))
    return [start.seconds for start, _ in manager.get_scene_list()[1:]]


def _scdet(programs: Ffmpeg, path: Path) -> list[float]:
    told = _run(programs, "-v", "info", "-copyts", "-i", str(path), "-vf", "scdet")
    return [float(time) for time in re.findall(r"lavfi\.scd\.time: ([\d.]+)", told)]


def _full_decode(programs: Ffmpeg, path: Path) -> list[float]:
    _run(programs, "-v", "error", "-i", str(path))
    return []


def _run(programs: Ffmpeg, *arguments: str) -> str:
    """Decode to nowhere; answer what ffmpeg says on stderr."""
    command = [str(programs.ffmpeg), "-nostdin", *arguments, "-f", "null", "-"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stderr
