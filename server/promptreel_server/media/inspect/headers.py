"""What a file says of itself, as ffprobe read it: claims, to be checked against packets."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

ENTRIES = ":".join(
    (
        "format=format_name,start_time,duration",
        "stream=index,codec_type,codec_name,codec_tag_string,width,height,time_base,"
        "start_pts,avg_frame_rate,sample_rate,channels",
        "stream_disposition=default,attached_pic,timed_thumbnails",
        "stream_side_data=rotation",
    )
)
"""The fields that are asked for: no tags, which are as long as their author likes."""

IMAGE_FORMATS = frozenset({"png_pipe", "jpeg_pipe", "webp_pipe", "bmp_pipe", "tiff_pipe"})
"""Demuxers of still images; gif and apng are images where they hold one picture."""
MAYBE_IMAGE_FORMATS = frozenset({"gif", "apng"})


@dataclass(frozen=True, kw_only=True)
class StreamHeader:
    """One stream as its file describes it; `codec` is None where ffmpeg has no name for it.

    `start` is seconds on the container's clock. `width` and `height` are pixels as stored,
    `rotation` the counter-clockwise degrees (0, 90, 180, 270) that a player turns them by.
    """

    index: int
    kind: str
    codec: str | None
    time_base: Fraction
    start: Fraction | None
    width: int
    height: int
    rotation: int
    frame_rate: Fraction
    sample_rate: int
    channels: int
    is_default: bool
    is_picture_of_file: bool
    """A cover or a thumbnail: it shows the file, it is not what the file shows."""
    is_encrypted: bool

    @property
    def shown_size(self) -> tuple[int, int]:
        """Width and height in pixels once turned upright."""
        turned = self.rotation in (90, 270)
        return (self.height, self.width) if turned else (self.width, self.height)

    def described(self) -> str:
        """Answer a line such as `video h264 320x180` or `audio aac 44100 Hz 2 ch`."""
        words = [self.kind, self.codec or "unknown"]
        if self.kind == "video":
            words.append(f"{self.width}x{self.height}")
        if self.kind == "audio":
            words.append(f"{self.sample_rate} Hz {self.channels} ch")
        return " ".join(words)


@dataclass(frozen=True, kw_only=True)
class FileHeader:
    """One file as it describes itself; `end` is the last instant that it claims to have."""

    container: str
    start: Fraction | None
    end: Fraction | None
    streams: tuple[StreamHeader, ...]

    @property
    def has_subtitles(self) -> bool:
        """Whether something but sound and pictures is presented too."""
        return any(stream.kind == "subtitle" for stream in self.streams)

    @property
    def video(self) -> StreamHeader | None:
        """The pictures to work on: the default stream, else the largest, else the first."""
        moving = [s for s in self.streams if s.kind == "video" and not s.is_picture_of_file]
        known = [s for s in moving if s.codec is not None]
        return max(
            known or moving,
            key=lambda s: (s.is_default, s.width * s.height, -s.index),
            default=None,
        )

    @property
    def audio(self) -> StreamHeader | None:
        """The sound to work on: the default stream, else the first."""
        heard = [s for s in self.streams if s.kind == "audio" and s.codec is not None]
        return max(heard, key=lambda s: (s.is_default, -s.index), default=None)


def parse_header(printed: bytes) -> FileHeader | None:
    """Read what ffprobe printed as JSON; None where it found no format.

    Raises ValueError where it printed something else.
    """
    said = json.loads(printed)
    container = said.get("format", {})
    if not container.get("format_name"):
        return None
    start = _number(container.get("start_time"))
    duration = _number(container.get("duration"))
    return FileHeader(
        container=str(container["format_name"]),
        start=start,
        end=None if duration is None else (start or Fraction(0)) + duration,
        streams=tuple(_stream(fields) for fields in said.get("streams", [])),
    )


def _stream(fields: Mapping[str, Any]) -> StreamHeader:
    disposition = fields.get("disposition", {})
    time_base = _number(fields.get("time_base")) or Fraction(1, 1000)
    start = fields.get("start_pts")
    codec = fields.get("codec_name")
    return StreamHeader(
        index=int(fields["index"]),
        kind=str(fields.get("codec_type", "unknown")),
        codec=None if codec in (None, "unknown", "none") else str(codec),
        time_base=time_base,
        start=None if start is None else int(start) * time_base,
        width=int(fields.get("width", 0)),
        height=int(fields.get("height", 0)),
        rotation=_rotation(fields.get("side_data_list", ())),
        frame_rate=_number(fields.get("avg_frame_rate")) or Fraction(0),
        sample_rate=int(fields.get("sample_rate", 0)),
        channels=int(fields.get("channels", 0)),
        is_default=bool(disposition.get("default")),
        is_picture_of_file=bool(
            disposition.get("attached_pic") or disposition.get("timed_thumbnails")
        ),
        is_encrypted=fields.get("codec_tag_string") in ("encv", "enca"),
    )


def _rotation(side_data: Sequence[Mapping[str, Any]]) -> int:
    """The nearest quarter turn of the first display matrix."""
    for entry in side_data:
        if "rotation" in entry:
            return round(int(entry["rotation"]) / 90) * 90 % 360
    return 0


def _number(text: str | None) -> Fraction | None:
    """Read `4.000000` or `30000/1001` exactly; None for `N/A`, `0/0` and nothing."""
    try:
        return Fraction(text or "")
    except (ValueError, ZeroDivisionError):
        return None
