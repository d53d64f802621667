"""Why a file is refused, in sentences that the one who sent it can act on."""

import re
from fractions import Fraction

from promptreel_server.errors import UnsupportedMedia
from promptreel_server.media.process.child import Completed
from promptreel_server.media.process.ffmpeg import MAX_PIXELS

ACCEPTED = (
    "Accepted are video (mp4, mov, mkv, webm, avi, …), audio (mp3, wav, flac, m4a, ogg, aac, …) "
    "and images (jpg, png, webp, gif, bmp, tiff)."
)
_WORDS_KEPT = 200


def empty() -> UnsupportedMedia:
    """Refuse a file without a byte."""
    return UnsupportedMedia("The file is empty.")


def unreadable(run: Completed) -> UnsupportedMedia:
    """Refuse what ffprobe could make nothing of, by how it ended."""
    refused = re.search(r"\[(\w+)[^]]*\] Format not on whitelist", run.stderr_tail)
    if refused:
        return UnsupportedMedia(f"Files of the kind {refused[1]!r} are not accepted. {ACCEPTED}")
    if run.exceeded is not None or run.returncode < 0:
        return exhausting()
    if "encryption" in run.stderr_tail:
        return encrypted()
    return UnsupportedMedia(f"The file is no media that can be read{_said(run)}. {ACCEPTED}")


def exhausting() -> UnsupportedMedia:
    """Refuse what makes reading it run into a limit."""
    return UnsupportedMedia(
        "Reading the file takes more time or memory than is allowed; it is damaged, or made to do "
        "that."
    )


def without_streams(kinds: list[str]) -> UnsupportedMedia:
    """Refuse a file with neither pictures nor sound; `kinds` is what it has instead."""
    instead = f", only {' and '.join(kinds)}" if kinds else ""
    return UnsupportedMedia(f"The file has neither pictures nor sound{instead}. {ACCEPTED}")


def without_packets() -> UnsupportedMedia:
    """Refuse a file that describes media but holds none."""
    return UnsupportedMedia(
        "The file describes pictures or sound but holds none: it was cut off or is damaged."
    )


def without_times() -> UnsupportedMedia:
    """Refuse media whose packets say nothing of when they are shown."""
    return UnsupportedMedia(
        "The file has no time stamps; put it into a container such as mp4 or mkv."
    )


def encrypted() -> UnsupportedMedia:
    """Refuse media that only the holder of a key can decode."""
    return UnsupportedMedia("The media is encrypted (DRM) and can't be decoded.")


def restarted(back: Fraction) -> UnsupportedMedia:
    """Refuse a transport stream that is two recordings in one; `back` is in seconds."""
    return UnsupportedMedia(
        f"The clock of the file jumps back by {float(back):.1f} s in the middle: it is several "
        "recordings in one. Send each by itself, or join them with continuous time stamps."
    )


def undecodable(kind: str, codec: str | None, run: Completed) -> UnsupportedMedia:
    """Refuse streams of which no frame could be decoded; `kind` is `pictures` or `sound`."""
    too_big = re.search(r"Picture size (\d+)x(\d+) is invalid", run.stderr_tail)
    if too_big:
        return oversized(int(too_big[1]), int(too_big[2]))
    encoding = f" (codec {codec})" if codec else " (a codec that is not known here)"
    return UnsupportedMedia(f"The {kind}{encoding} can't be decoded{_said(run)}.")


def oversized(width: int, height: int) -> UnsupportedMedia:
    """Refuse pictures of more pixels than are ever decoded."""
    return UnsupportedMedia(
        f"The pictures are {width} x {height} pixels; "
        f"at most {MAX_PIXELS // 1_000_000} megapixels are accepted."
    )


def overlong(duration: Fraction, longest: Fraction) -> UnsupportedMedia:
    """Refuse media that last longer than is ever worked on."""
    return UnsupportedMedia(
        f"The media lasts {float(duration):.0f} s; at most {float(longest):.0f} s are accepted."
    )


def _said(run: Completed) -> str:
    """What the program said first, in brackets, without its pointers and unprintable bytes."""
    lines = re.sub(r"\[[^]]*@ 0x[0-9a-f]+\] ", "", run.stderr_tail).splitlines()
    words = "".join(c for c in (lines[0] if lines else "") if c.isprintable())
    words = words.removeprefix("fd:: ").rstrip(".")
    return f" ({words[:_WORDS_KEPT]})" if words else ""
