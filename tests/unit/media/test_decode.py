"""A decoder that dies half way: what it told is not taken for the whole."""

import signal
from pathlib import Path

import psutil
import pytest

from promptreel_server.errors import MediaUnavailable
from promptreel_server.media.decode import Wanted, decoded
from promptreel_server.media.probe import probe
from promptreel_server.model.media import MediaFacts
from tests import footage

WANTED = Wanted(width=64, height=36)


async def _decode_and_end(path: Path, facts: MediaFacts, number: signal.Signals) -> None:
    async with decoded(footage.programs(), path, facts, WANTED) as pieces:
        async for _ in pieces:
            for decoder in _with_open(path):
                decoder.send_signal(number)


def _with_open(path: Path) -> list[psutil.Process]:
    """The children that have a file open; others belong to other tests."""
    children = psutil.Process().children()
    return [one for one in children if any(file.path == str(path) for file in one.open_files())]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_a_decoder_that_something_ends_gives_no_half_of_a_medium(
    number: signal.Signals,
) -> None:
    clip = footage.shots(300, sound=False)
    facts = await probe(clip.path, ffmpeg=footage.programs())
    with pytest.raises(MediaUnavailable, match="killed from outside"):
        await _decode_and_end(clip.path, facts, number)
