"""A decoder that dies half way: what it told is not taken for the whole."""

import signal
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from promptreel_server.domain.media import MediaFacts
from promptreel_server.errors import MediaUnavailable
from promptreel_server.media.frames.decode import Wanted, decoded
from promptreel_server.media.inspect.probe import probe
from tests import footage
from tests.processes import children_with_open

WANTED = Wanted(width=64, height=36)


async def _decode_and_end(path: Path, facts: MediaFacts, number: signal.Signals) -> None:
    async with decoded(footage.programs(), path, facts, WANTED) as pieces:
        async for _ in pieces:
            for decoder in children_with_open(path):
                with suppress(psutil.NoSuchProcess):
                    decoder.send_signal(number)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_a_decoder_that_something_ends_gives_no_half_of_a_medium(
    number: signal.Signals,
) -> None:
    clip = footage.shots(300, sound=False)
    facts = await probe(clip.path, ffmpeg=footage.programs())
    with pytest.raises(MediaUnavailable, match="killed from outside"):
        await _decode_and_end(clip.path, facts, number)
