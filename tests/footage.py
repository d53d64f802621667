"""Clips drawn by ffmpeg whose truth is known because they were made that way."""

import hashlib
import os
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path

from promptreel_server.media.process.ffmpeg import Ffmpeg, locate

SCENES = ("testsrc2", "smptebars", "rgbtestsrc", "pal75bars", "yuvtestsrc", "testsrc")
"""Sources of ffmpeg's that look nothing like each other; shots take them in turn."""


@dataclass(frozen=True, kw_only=True)
class Clip:
    """A file and what is true of it; times are seconds from its start."""

    path: Path
    duration: Fraction
    cuts: tuple[Fraction, ...] = ()
    frame_rate: Fraction = Fraction(0)
    width: int = 0
    height: int = 0
    has_audio: bool = False


@cache
def programs() -> Ffmpeg:
    """Find ffmpeg as the server would."""
    return locate()


def shots(
    *lengths: float,
    rate: str = "25",
    size: tuple[int, int] = (320, 180),
    sound: bool = True,
    suffix: str = "mp4",
    options: Sequence[str] = (),
) -> Clip:
    """Draw a video of hard cuts: one scene for each length in seconds, whole frames each.

    Each scene has a tone of its own. `options` go before the output, such as `("-c:v", "mpeg4")`.
    """
    pace = Fraction(30_000, 1001) if rate == "30000/1001" else Fraction(rate)
    frames = [round(Fraction(length).limit_denominator(1000) * pace) for length in lengths]
    width, height = size
    inputs: list[str] = []
    for index, count in enumerate(frames):
        scene = SCENES[index % len(SCENES)]
        picture = f"{scene}=size={width}x{height}:rate={rate},trim=end_frame={count},format=yuv420p"
        inputs += ["-f", "lavfi", "-i", f"{picture},setsar=1"]
    for index, count in enumerate(frames if sound else []):
        lasting = float(count / pace)
        tone = f"sine=frequency={220 * (index + 1)}:sample_rate=44100:duration={lasting:.6f}"
        inputs += ["-f", "lavfi", "-i", tone]
    number = len(frames)
    graph = "".join(f"[{i}:v]" for i in range(number)) + f"concat=n={number}[v]"
    maps = ["-map", "[v]"]
    if sound:
        heard = "".join(f"[{number + i}:a]" for i in range(number))
        graph += f";{heard}concat=n={number}:v=0:a=1[a]"
        maps += ["-map", "[a]"]
    path = drawn([*inputs, "-filter_complex", graph, *maps, *options], suffix)
    edges = [Fraction(sum(frames[:i])) / pace for i in range(1, number + 1)]
    return Clip(
        path=path,
        duration=edges[-1],
        cuts=tuple(edges[:-1]),
        frame_rate=pace,
        width=width,
        height=height,
        has_audio=sound,
    )


EVENTS = {
    "whip pan": "crop=320:180:x='960*clip((n-50)/8,0,1)':y=0",
    "crash zoom": "crop=320:180:0:0,zoompan=z='1+1.5*clip((on-50)/6,0,1)'"
    ":x='(iw-iw/zoom)/2':y='(ih-ih/zoom)/2':d=1:s=320x180:fps=25",
    "banner": "crop=320:180:0:0,drawbox=y=120:w=iw:h=60:color=yellow:t=fill:enable='gte(n,50)'",
    "someone passing close": "crop=320:180:0:0[a];color=0x402010:size=500x180:rate=25[b]"
    ";[a][b]overlay=x='320-50*(n-50)':shortest=1",
    "exposure step": "crop=320:180:0:0,eq=gamma=0.5:brightness=0.1:enable='gte(n,50)'",
}
"""What may happen in the third second of a shot, as a filter over a place four frames wide."""


def event(name: str) -> Clip:
    """Draw a shot of four seconds in which one of EVENTS happens, and a cut to another shot."""
    place = "mandelbrot=size=1280x720:start_scale=0.6:rate=25,scale=1280:180,trim=end_frame=1"
    shot = f"{place},loop=99:1,setpts=N/25/TB,{EVENTS[name]},format=yuv420p,setsar=1"
    other = "smptebars=size=320x180:rate=25,trim=end_frame=50,format=yuv420p,setsar=1"
    inputs = ["-f", "lavfi", "-i", shot, "-f", "lavfi", "-i", other]
    joined = ["-filter_complex", "[0:v][1:v]concat=n=2[v]", "-map", "[v]"]
    path = drawn([*inputs, *joined], "mp4")
    return Clip(path=path, duration=Fraction(6), cuts=(Fraction(4),), frame_rate=Fraction(25))


def tone(seconds: float, *, suffix: str = "wav", options: Sequence[str] = ()) -> Clip:
    """Draw an audio file: a steady 440 Hz."""
    source = f"sine=frequency=440:sample_rate=16000:duration={seconds}"
    path = drawn(["-f", "lavfi", "-i", source, *options], suffix)
    duration = Fraction(seconds).limit_denominator(1000)
    return Clip(path=path, duration=duration, has_audio=True)


def still(*, size: tuple[int, int] = (320, 180), suffix: str = "png") -> Clip:
    """Draw one picture."""
    source = f"testsrc2=size={size[0]}x{size[1]}:rate=1"
    path = drawn(["-f", "lavfi", "-i", source, "-frames:v", "1"], suffix)
    return Clip(path=path, duration=Fraction(0), width=size[0], height=size[1])


def drawn(arguments: Sequence[str], suffix: str) -> Path:
    """Run ffmpeg with these arguments, unless it was done before, and answer the file it made.

    Files are kept in the temporary folder under a hash of what was asked, and appear whole, so
    that test processes can share them.
    """
    asked = "\0".join([programs().version, *arguments]).encode()
    folder = Path(tempfile.gettempdir()) / f"promptreel-footage-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / f"{hashlib.sha256(asked).hexdigest()[:16]}.{suffix}"
    if not path.exists():
        partial = folder / f"{os.getpid()}-{path.name}"
        quiet = ["-nostdin", "-hide_banner", "-v", "error", "-y"]
        exact = ["-fflags", "+bitexact", "-map_metadata", "-1"]
        command = [str(programs().ffmpeg), *quiet, *arguments, *exact, str(partial)]
        subprocess.run(command, check=True, timeout=120)
        partial.replace(path)
    return path
