"""Dispatch in one process: who has waited longest is next, and a unit that breaks ends no other."""

import asyncio
import logging
from collections.abc import Sequence

import pytest

from promptreel_server.engine.dispatch.dispatcher import Unit
from promptreel_server.engine.dispatch.in_process import LocalDispatcher
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


def _retries(run_id: str, count: int, *, owner: str = "ann") -> list[Unit]:
    return [
        Unit(owner_id=owner, run_id=run_id, video_id="vid_1", retry_id=f"{run_id}_retry_{number}")
        for number in range(count)
    ]


def _items(run_id: str, count: int, *, owner: str = "ann") -> list[Unit]:
    return [
        Unit(owner_id=owner, run_id=run_id, video_id=f"{run_id}_vid_{number}")
        for number in range(count)
    ]


async def _order(*dispatched: Sequence[Unit]) -> list[Unit]:
    """Dispatch units, and answer in which order they are performed, one at a time."""
    dispatcher = LocalDispatcher(most_at_once=1)
    performed: list[Unit] = []
    count = sum(map(len, dispatched))

    async def perform(unit: Unit) -> None:
        performed.append(unit)
        if len(performed) == count:
            dispatcher.drain()

    for units in dispatched:
        await dispatcher.dispatch(units)
    async with asyncio.timeout(5):
        await dispatcher.run(perform)
    return performed


async def test_a_new_run_does_not_wait_behind_the_retries_of_another_of_its_owner() -> None:
    retries, items = _retries("run_old", 1000), _items("run_new", 3)

    performed = await _order(retries, items)

    assert [unit for unit in performed[:6] if unit.run_id == "run_new"] == items
    assert [unit for unit in performed if unit.run_id == "run_old"] == retries


async def test_retries_do_not_wait_behind_the_media_items_of_another_run_of_their_owner() -> None:
    retries = _retries("run_old", 2)

    performed = await _order(_items("run_archive", 1000), retries)

    assert [unit for unit in performed[:4] if unit.retry_id is not None] == retries


async def test_an_owner_has_no_more_turns_for_having_more_runs() -> None:
    ann = [_items(f"run_{number}", 2) for number in range(4)]
    bob = _items("run_bob", 3, owner="bob")

    performed = await _order(*ann, bob)

    assert [unit.owner_id for unit in performed[:6]] == ["ann", "bob"] * 3


async def test_a_retry_is_known_until_it_is_performed() -> None:
    dispatcher = LocalDispatcher(most_at_once=1)
    (unit,) = _retries("run_1", 1)
    known: list[bool] = []

    async def perform(unit: Unit) -> None:
        known.append(dispatcher.has(str(unit.retry_id)))
        dispatcher.drain()

    known.append(dispatcher.has("run_1_retry_0"))
    await dispatcher.dispatch([unit])
    known.append(dispatcher.has("run_1_retry_0"))
    async with asyncio.timeout(5):
        await dispatcher.run(perform)
    known.append(dispatcher.has("run_1_retry_0"))

    assert known == [False, True, True, False]
