"""Builds demo/clip.mp4 and demo/truth.json from the packages that the storyboard names.

Needs pip, apt-get and dpkg-deb (for the Debian packages), numpy, Pillow and ffmpeg. Usage:
python -m demo.assemble [--downloads DIR]
"""

import argparse
import io
import json
import subprocess
import sys
import tempfile
import wave
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from demo.packages import fetch_pieces
from demo.programs import AssemblyError, find_ffmpeg, run
from demo.storyboard import (
    DISSOLVE_FRAMES,
    FRAME_RATE,
    HEIGHT,
    SENTENCES,
    SHOTS,
    WIDTH,
    FootageShot,
    PictureShot,
    Piece,
    Sentence,
    Shot,
    Title,
    View,
)

HERE = Path(__file__).parent
SAMPLE_RATE = 16_000
FADE_SAMPLES = SAMPLE_RATE // 30
VOICE_GAIN = 1.4
ROOM_TONE = 0.0025
TITLE_FADE_FRAMES = 12
TITLE_MARGIN_FRAMES = 15
PRESHRUNK_WIDTH = 2000

Pieces = Mapping[Piece, bytes]
Samples = npt.NDArray[np.float64]


def draw_clip(pieces: Pieces) -> Iterator[Image.Image]:
    """Every frame of the clip in order, RGB, WIDTH x HEIGHT."""
    held: list[Image.Image] = []
    for shot, following in pairwise((*SHOTS, None)):
        assert shot is not None  # only the last of a pair can be the end mark
        frames = list(draw_shot(shot, pieces[shot.piece]))
        for step, before in enumerate(held):
            frames[step] = Image.blend(before, frames[step], (step + 1) / (len(held) + 1))
        kept = len(frames) - (DISSOLVE_FRAMES if following and following.dissolves_in else 0)
        yield from frames[:kept]
        held = frames[kept:]


def draw_shot(shot: Shot, content: bytes) -> Iterator[Image.Image]:
    """The frames of one shot, titled."""
    moving = (
        cut_footage(shot, content)
        if isinstance(shot, FootageShot)
        else glide_over_picture(shot, content)
    )
    for number, frame in enumerate(moving):
        if shot.title is not None:
            inside = min(number, shot.frames - 1 - number) - TITLE_MARGIN_FRAMES
            draw_title(frame, shot.title, min(1.0, max(0.0, inside / TITLE_FADE_FRAMES)))
        yield frame


def glide_over_picture(shot: PictureShot, content: bytes) -> Iterator[Image.Image]:
    """Moves a window over a photograph; the windows' edges are fractions of a pixel, so smooth."""
    with Image.open(io.BytesIO(content)) as opened:
        picture = opened.convert("RGB")
    picture.thumbnail((PRESHRUNK_WIDTH, PRESHRUNK_WIDTH), Image.Resampling.LANCZOS)
    for number in range(shot.frames):
        view = _between(shot.start, shot.end, number / (shot.frames - 1))
        yield picture.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS, _window(picture, view))


def _between(start: View, end: View, share: float) -> View:
    return View(
        x=start.x + (end.x - start.x) * share,
        y=start.y + (end.y - start.y) * share,
        width=start.width + (end.width - start.width) * share,
    )


def _window(picture: Image.Image, view: View) -> tuple[float, float, float, float]:
    width = view.width * picture.width
    height = width * HEIGHT / WIDTH
    left = min(max(view.x * picture.width - width / 2, 0.0), picture.width - width)
    top = min(max(view.y * picture.height - height / 2, 0.0), picture.height - height)
    return left, top, left + width, top + height


def cut_footage(shot: FootageShot, content: bytes) -> Iterator[Image.Image]:
    """Decodes the shot's frames out of a video, scaled to the clip's size."""
    scaled = f"scale={WIDTH}:{HEIGHT}:flags=lanczos+accurate_rnd"
    raw = run(
        [
            *(find_ffmpeg(), "-v", "error", "-i", "pipe:0", "-vf", scaled),
            *("-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "rgb24", "pipe:1"),
        ],
        stdin=content,
    )
    size = WIDTH * HEIGHT * 3
    for number in range(shot.first_frame, shot.first_frame + shot.frames):
        pixels = raw[number * size : (number + 1) * size]
        if len(pixels) < size:
            raise AssemblyError(f"{shot.piece.name} has fewer frames than the storyboard takes.")
        yield Image.frombytes("RGB", (WIDTH, HEIGHT), pixels)


def draw_title(frame: Image.Image, title: Title, opacity: float) -> None:
    """Lays a lower third over the frame, in place; `opacity` from 0 to 1."""
    if opacity == 0.0:
        return
    layer = Image.new("RGBA", frame.size)
    pen = ImageDraw.Draw(layer)
    pen.rectangle((0, 268, WIDTH, 338), fill=(12, 16, 24, round(190 * opacity)))
    ink = (255, 255, 255, round(255 * opacity))
    pen.text((28, 274), title.head, ink, ImageFont.load_default(30))
    pen.text((28, 309), title.line, ink, ImageFont.load_default(20))
    frame.paste(layer, mask=layer)


def mix_sound(pieces: Pieces, frames: int) -> Samples:
    """The sentences where they are laid, over faint room tone: mono at SAMPLE_RATE, -1 to 1."""
    length = frames * SAMPLE_RATE // FRAME_RATE
    # A fixed seed: every assembly has the same noise.
    mixed = np.random.default_rng(1811).normal(0.0, ROOM_TONE, length)
    for sentence in SENTENCES:
        voice = _read_voice(pieces[sentence.piece]) * VOICE_GAIN
        start = round(sentence.laid_at * SAMPLE_RATE)
        mixed[start : start + len(voice)] += voice
    return np.clip(mixed, -1.0, 1.0)


def _read_voice(content: bytes) -> Samples:
    with wave.open(io.BytesIO(content)) as recording:
        if (recording.getframerate(), recording.getnchannels()) != (SAMPLE_RATE, 1):
            raise AssemblyError("A recording is not mono at 16 kHz.")
        pcm = np.frombuffer(recording.readframes(recording.getnframes()), "<i2")
    voice = pcm.astype(np.float64) / 32768
    ramp = np.linspace(0.0, 1.0, FADE_SAMPLES)
    voice[:FADE_SAMPLES] *= ramp
    voice[-FADE_SAMPLES:] *= ramp[::-1]
    return voice


def write_sound(samples: Samples, target: Path) -> None:
    """Writes 16-bit mono WAV."""
    with wave.open(str(target), "wb") as recording:
        recording.setnchannels(1)
        recording.setsampwidth(2)
        recording.setframerate(SAMPLE_RATE)
        recording.writeframes((samples * 32767).astype("<i2").tobytes())


def encode(frames: Iterator[Image.Image], sound: Path, target: Path) -> None:
    """Encodes H.264 and AAC into an MP4 that starts playing before it is read whole."""
    command = [
        *(find_ffmpeg(), "-v", "error", "-y"),
        *("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{WIDTH}x{HEIGHT}"),
        *("-r", str(FRAME_RATE), "-i", "pipe:0", "-i", str(sound)),
        *("-vf", "scale=out_color_matrix=bt709:out_range=tv:flags=accurate_rnd,format=yuv420p"),
        *("-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709"),
        *("-c:v", "libx264", "-preset", "slow", "-crf", "23", "-profile:v", "high"),
        # One thread and no version stamps: the same ffmpeg makes the same bytes.
        *("-threads", "1", "-fflags", "+bitexact", "-flags", "+bitexact"),
        *("-c:a", "aac", "-b:a", "80k", "-ar", "44100", "-movflags", "+faststart", str(target)),
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as encoder:  # noqa: S603 - this file's words only
        assert encoder.stdin is not None
        for frame in frames:
            encoder.stdin.write(frame.tobytes())
        encoder.stdin.close()
    if encoder.returncode:
        raise AssemblyError(f"ffmpeg ended with exit code {encoder.returncode}.")


def shot_starts() -> list[int]:
    """The frame at which each shot is first seen, and the clip's length in frames at the end."""
    starts, end = [], 0
    for shot in SHOTS:
        starts.append(end - (DISSOLVE_FRAMES if shot.dissolves_in else 0))
        end = starts[-1] + shot.frames
    return [*starts, end]


def truth() -> dict[str, object]:
    """What is to be found in the clip: cuts, dissolves and sentences, in seconds."""
    *starts, end = shot_starts()
    entered = list(zip(SHOTS, starts, strict=True))[1:]
    return {
        "duration": end / FRAME_RATE,
        "cuts": [start / FRAME_RATE for shot, start in entered if not shot.dissolves_in],
        "dissolves": [
            [start / FRAME_RATE, (start + DISSOLVE_FRAMES) / FRAME_RATE]
            for shot, start in entered
            if shot.dissolves_in
        ],
        "speech": [_sentence_truth(sentence) for sentence in SENTENCES],
    }


def _sentence_truth(sentence: Sentence) -> dict[str, object]:
    return {
        "start_time": float(sentence.laid_at + sentence.first_sound),
        "end_time": float(sentence.laid_at + sentence.last_sound),
        "text": sentence.text,
    }


def assemble(downloads: Path) -> None:
    """Writes clip.mp4 and truth.json beside this script."""
    downloads.mkdir(parents=True, exist_ok=True)
    wanted = dict.fromkeys(scene.piece for scene in (*SHOTS, *SENTENCES))
    pieces = fetch_pieces(wanted, downloads)
    print(f"ffmpeg: {find_ffmpeg()}", flush=True)
    sound = downloads / "sound.wav"
    write_sound(mix_sound(pieces, shot_starts()[-1]), sound)
    encode(draw_clip(pieces), sound, HERE / "clip.mp4")
    (HERE / "truth.json").write_text(json.dumps(truth(), indent=2) + "\n")
    print(f"clip.mp4: {(HERE / 'clip.mp4').stat().st_size:,} bytes")


def main() -> int:
    """Reads the arguments and assembles; 0 when the clip is there, 1 when it can't be made."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--downloads", type=Path, help="keep the packages in this folder")
    kept: Path | None = parser.parse_args().downloads
    try:
        with tempfile.TemporaryDirectory() as temporary:
            assemble(Path(temporary) if kept is None else kept)
    except AssemblyError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
