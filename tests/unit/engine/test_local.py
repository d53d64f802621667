"""Dispatch in one process: a unit that breaks neither ends the others nor floods the log."""

import asyncio
import logging

import pytest

from promptreel_server.engine.dispatch import Unit
from promptreel_server.engine.local import LocalDispatcher
from promptreel_server.errors import StoreUnavailable


def _unit(video_id: str) -> Unit:
    return Unit(owner_id="ann", run_id="run_1", video_id=video_id)


async def _perform_all(error: Exception, caplog: pytest.LogCaptureFixture) -> list[str]:
    """Perform two units, the first of which breaks; answers which came to their end."""
    caplog.set_level(logging.INFO)
    dispatcher = LocalDispatcher(most_at_once=1)
    done: list[str] = []

    async def perform(unit: Unit) -> None:
        if unit.video_id == "vid_broken":
            raise error
        done.append(unit.video_id)
        dispatcher.drain()

    await dispatcher.dispatch([_unit("vid_broken"), _unit("vid_well")])
    async with asyncio.timeout(5):
        await dispatcher.run(perform)
    return done


async def test_a_unit_that_the_store_holds_up_is_one_line_of_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    done = await _perform_all(StoreUnavailable("Its disk is full.", retry_after=1.0), caplog)
    assert done == ["vid_well"]
    (line,) = caplog.records
    assert (line.levelname, line.exc_info) == ("WARNING", None)
    assert "vid_broken" in line.getMessage()
    assert "Its disk is full." in line.getMessage()


async def test_a_unit_that_breaks_is_told_whole_and_the_next_is_performed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert await _perform_all(RuntimeError("nobody foresaw this"), caplog) == ["vid_well"]
    (line,) = caplog.records
    assert line.exc_info is not None
    assert "vid_broken" in line.getMessage()
