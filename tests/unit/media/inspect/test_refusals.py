"""Hostile, broken and odd files come out with the verdict that is known of them."""

import json
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from promptreel_server.domain.media import MediaFacts
from promptreel_server.errors import Invalid, UnsupportedMedia
from promptreel_server.media.inspect.headers import ENTRIES
from promptreel_server.media.inspect.probe import probe
from promptreel_server.media.library import resolve_uri, safe_title
from promptreel_server.media.process.ffmpeg import opened
from tests import footage

MEDIA = Path(__file__).parents[5] / "shared" / "media"
MANIFEST = MEDIA / "manifest.json"
NAMES = MEDIA / "nasty" / "names_and_uris.json"

TOLERANCE = 0.1
COUNTED_FROM_ZERO = {
    # The list gives where these end on the clock; they begin at -1.5 s and at 1.075 s.
    "nasty/negative_start.mkv": 2.5,
    "nasty/real_delayed_start.mp4": 2.035,
}
UNSAID = {"nasty/real_bear_no_num_samples.flac": 2.741}
"""Measured by decoding; the list says 0 because the header does."""
HARMLESS = re.compile(
    r"/dev/(null|urandom)|/proc/(self|cpuinfo|sys|stat|meminfo)|/sys/(devices|fs)"
    r"|gconv|/etc/(ld\.so|localtime|ssl/openssl\.cnf)|\.so\W|/usr/lib/(ssl|locale)"
)
"""What a program opens for itself, whatever it reads: random numbers, libraries, the machine."""


_facts: dict[str, MediaFacts] = {}


def entries() -> list[dict[str, Any]]:
    if not MANIFEST.exists():
        return []
    listed = json.loads(MANIFEST.read_text())["files"]
    return [entry for entry in listed if entry["file"].startswith("nasty/")]


def of_verdict(verdict: str) -> list[Any]:
    """One parameter set for each file of this verdict, or one that skips with the reason."""
    found = [
        pytest.param(entry, id=Path(entry["file"]).name)
        for entry in entries()
        if entry["verdict"] == verdict
    ]
    absent = pytest.param({}, marks=pytest.mark.skip(reason=f"{MEDIA} is absent"), id="absent")
    return found or [absent]


async def probed(entry: dict[str, Any]) -> MediaFacts:
    """Probe a file once for all tests of it."""
    if entry["file"] not in _facts:
        _facts[entry["file"]] = await probe(MEDIA / entry["file"], ffmpeg=footage.programs())
    return _facts[entry["file"]]


@pytest.mark.parametrize("entry", of_verdict("accept"))
async def test_what_is_sound_is_accepted_with_its_streams_and_length(
    entry: dict[str, Any],
) -> None:
    facts = await probed(entry)
    known, name = entry["expect"], entry["file"]
    assert facts.has_video == known.get("has_video", entry["has_video"])
    assert facts.has_audio == known.get("has_audio", entry["has_audio"])
    assert facts.video_codec == entry.get("video_codec")
    assert facts.audio_codec == entry.get("audio_codec")
    lasting = float(facts.end if name in COUNTED_FROM_ZERO else facts.duration)
    said = COUNTED_FROM_ZERO.get(name, UNSAID.get(name, entry["duration"]))
    assert lasting == pytest.approx(known.get("duration", said), abs=TOLERANCE)


@pytest.mark.parametrize("entry", of_verdict("accept"))
async def test_what_else_is_known_of_it_is_found(entry: dict[str, Any]) -> None:
    facts = await probed(entry)
    known = entry["expect"]
    if "shown" in known:
        assert f"{facts.width}x{facts.height}" == known["shown"]
        assert facts.rotation == known["rotation"]
    elif "width" in known:
        assert (facts.width, facts.height) == (known["width"], known["height"])
    if known.get("start") == -1.5:
        assert float(facts.start) == pytest.approx(-1.5, abs=TOLERANCE)
    if "start" in known and known["start"] > 0:
        assert known["start"] <= float(facts.start) <= known["start"] + 2
    kinds = [stream.split()[0] for stream in facts.streams]
    assert known.get("audio_streams", kinds.count("audio")) == kinds.count("audio")


@pytest.mark.parametrize("entry", of_verdict("reject"))
async def test_what_is_no_media_is_refused_with_a_clear_sentence(entry: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedMedia) as refused:
        await probed(entry)
    check_sentence(refused.value.message)


@pytest.mark.parametrize("entry", of_verdict("either"))
async def test_what_may_be_either_is_never_planned_by_a_lying_header(
    entry: dict[str, Any],
) -> None:
    try:
        facts = await probed(entry)
    except UnsupportedMedia as refused:
        check_sentence(refused.message)
        return
    real = entry["expect"].get("real_duration")
    if real is not None:
        assert float(facts.duration) == pytest.approx(real, abs=TOLERANCE)
    assert facts.duration < 3600


def check_sentence(message: str) -> None:
    assert re.fullmatch(r"[A-Z].*\.", message)
    assert message.isprintable()
    assert "0x" not in message
    assert str(MEDIA) not in message


@pytest.fixture(scope="module")
def canary() -> Iterator[list[str]]:
    """Listen where the hostile files point to; the list holds who called."""
    port = json.loads(NAMES.read_text())["canary_port"]
    callers: list[str] = []
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError as error:
        listener.close()
        pytest.skip(f"port {port}, which the hostile files call, is taken: {error}")
    listener.listen()

    def listen() -> None:
        while True:
            try:
                call, address = listener.accept()
            except OSError:
                return
            callers.append(str(address))
            call.close()

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    yield callers
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(timeout=5)


@pytest.mark.parametrize("entry", of_verdict("secure"))
async def test_a_trap_reaches_no_address_and_comes_out_as_a_sentence_or_as_media(
    entry: dict[str, Any], canary: list[str]
) -> None:
    try:
        facts = await probed(entry)
    except UnsupportedMedia as refused:
        check_sentence(refused.message)
    else:
        assert 0 < facts.duration < 60
    assert canary == []


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.parametrize("entry", of_verdict("secure"))
def test_a_trap_opens_no_file_and_no_socket(entry: dict[str, Any], tmp_path: Path) -> None:
    """Both programs are watched, even where the first has refused the file already."""
    programs = footage.programs()
    with opened(MEDIA / entry["file"]) as descriptor:
        source = programs.input(descriptor, t=10)
        commands = [
            programs.probe_command(descriptor, "-show_entries", f"{ENTRIES}:packet=pts"),
            programs.command(source.output("pipe:1", format="framecrc")),
        ]
        for command in commands:
            assert touched(command, descriptor, tmp_path / "calls") == []


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_the_watch_over_calls_would_see_a_file_opened(tmp_path: Path) -> None:
    with opened(Path(__file__)) as descriptor:
        seen = touched(["/bin/cat", __file__], descriptor, tmp_path / "calls")
    assert [line for line in seen if Path(__file__).name in line]


def touched(command: list[str], descriptor: int, log: Path) -> list[str]:
    """Run a command under strace: the calls that opened a file or a socket it has no use for."""
    calls = "open,openat,openat2,creat,socket,connect,bind,sendto,unlink,rename,mkdir"
    watch = ["strace", "-f", "-qq", "-o", str(log), "-e", f"trace={calls}"]
    subprocess.run(
        [*watch, *command],
        pass_fds=(descriptor,),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
        env={"GCONV_PATH": "/nonexistent"},
    )
    lines = [line for line in log.read_text().splitlines() if "(" in line and "+++" not in line]
    return [line for line in lines if not HARMLESS.search(line)]


@pytest.mark.skipif(not NAMES.exists(), reason=f"{NAMES} is absent")
def test_every_hostile_name_becomes_a_harmless_title() -> None:
    for name in json.loads(NAMES.read_text())["upload_names"]:
        title = safe_title(name)
        assert 1 <= len(title) <= 255
        assert title.isprintable()
        assert not set(title) & {"/", "\\", "\0"}
        assert title not in (".", "..")


@pytest.mark.skipif(not NAMES.exists(), reason=f"{NAMES} is absent")
def test_every_hostile_address_is_refused_naming_what_is_allowed(tmp_path: Path) -> None:
    for uri in json.loads(NAMES.read_text())["media_uris"]:
        with pytest.raises(Invalid, match="allowed are files below") as refused:
            resolve_uri(uri, [tmp_path])
        assert refused.value.violations[0].field == "video_uri"
