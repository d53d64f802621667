"""The calls to one model: how many at once, at what pace, and whose turn it is."""

import asyncio
import time
from collections import Counter

from promptreel_server.engine.model_calls.concurrency import MOST_LANES, Lane, LaneLimits, Lanes


async def call(lane: Lane, owner: str, began: list[str], seconds: float = 0.0) -> None:
    async with lane.place(owner):
        began.append(owner)
        await asyncio.sleep(seconds)


async def test_no_more_calls_are_in_flight_than_the_window_holds() -> None:
    lane = Lane(LaneLimits(first=3, most=3))
    began: list[str] = []
    async with asyncio.TaskGroup() as tasks:
        for _ in range(9):
            tasks.create_task(call(lane, "one", began, 0.05))
        await asyncio.sleep(0.02)
        assert len(began) == 3
    assert len(began) == 9


async def test_a_clip_does_not_wait_behind_an_archive() -> None:
    lane = Lane(LaneLimits(first=2, most=2))
    began: list[str] = []
    async with asyncio.TaskGroup() as tasks:
        for _ in range(1000):
            tasks.create_task(call(lane, "archive", began))
        await asyncio.sleep(0)
        for _ in range(3):
            tasks.create_task(call(lane, "clip", began))
    assert Counter(began) == {"archive": 1000, "clip": 3}
    last = max(place for place, owner in enumerate(began) if owner == "clip")
    assert last <= 10, "the clip's calls take every second turn"


async def test_the_window_grows_by_one_a_window_and_halves_on_overload() -> None:
    lane = Lane(LaneLimits(least=1, first=4, most=6))
    for _ in range(5):
        lane.went_well()
    assert lane.window == 5
    for _ in range(50):
        lane.went_well()
    assert lane.window == 6
    lane.overloaded(None)
    assert lane.window == 3
    for _ in range(9):
        lane.overloaded(None)
    assert lane.window == 1


async def test_a_delay_that_the_model_names_pauses_the_whole_lane() -> None:
    lane = Lane(LaneLimits())
    lane.overloaded(0.15)
    began: list[str] = []
    before = time.monotonic()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(call(lane, "one", began))
        tasks.create_task(call(lane, "other", began))
        await asyncio.sleep(0.05)
        assert began == []
        assert "asked for a pause" in (lane.hindrance or "")
    assert sorted(began) == ["one", "other"]
    assert time.monotonic() - before >= 0.15


async def test_a_call_that_is_given_up_while_it_waits_takes_nobodys_place() -> None:
    lane = Lane(LaneLimits(first=1, most=1))
    began: list[str] = []
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(call(lane, "first", began, 0.05))
        await asyncio.sleep(0)
        waiting = tasks.create_task(call(lane, "gone", began))
        tasks.create_task(call(lane, "last", began))
        await asyncio.sleep(0)
        waiting.cancel()
    assert began == ["first", "last"]


async def test_calls_keep_to_what_a_minute_may_take() -> None:
    lane = Lane(LaneLimits(first=100, most=100, calls_a_minute=600))  # 10/s, 60 at once
    began: list[str] = []
    before = time.monotonic()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(65):
            tasks.create_task(call(lane, "one", began))
        await asyncio.sleep(0.01)
        assert 59 <= len(began) <= 61
        assert "used up" in (lane.hindrance or "")
    assert len(began) == 65
    assert 0.35 <= time.monotonic() - before < 2.0


async def test_tokens_are_counted_once_they_are_known_and_hold_up_what_follows() -> None:
    lane = Lane(LaneLimits(tokens_a_minute=60_000))  # 1,000 a second, 6,000 at once
    lane.spent(calls=0, tokens=6200)
    began: list[str] = []
    before = time.monotonic()
    await call(lane, "one", began)
    assert 0.15 <= time.monotonic() - before < 1.0


async def test_one_refused_credential_breaks_no_lane_and_several_in_a_row_do() -> None:
    lane = Lane(LaneLimits(refusals=3))
    lane.refused()
    lane.refused()
    assert lane.broken is None
    lane.went_well()
    lane.refused()
    lane.refused()
    assert lane.broken is None, "a good answer between them counts"
    lane.refused()
    assert lane.broken is not None


async def test_a_broken_lane_lets_calls_through_after_a_while_and_heals_with_a_good_answer() -> (
    None
):
    lane = Lane(LaneLimits(refusals=1, probe_after=0.05))
    lane.refused()
    assert lane.broken is not None
    await asyncio.sleep(0.06)
    assert lane.broken is None
    lane.refused()
    assert lane.broken is not None, "refused again at once"
    lane.went_well()
    assert lane.broken is None


async def test_a_pause_that_a_model_asks_for_is_cut_to_the_longest() -> None:
    lane = Lane(LaneLimits(longest_pause=0.1))
    lane.overloaded(99_999_999_999.0)
    began: list[str] = []
    async with asyncio.timeout(5):
        await call(lane, "one", began)
    assert began == ["one"]


async def test_lanes_of_names_that_callers_make_up_are_forgotten_once_idle() -> None:
    lanes = Lanes(LaneLimits())
    used = lanes.lane("openai:used")
    async with used.place("one"):
        for number in range(MOST_LANES * 2):
            lanes.lane(f"openai:{number}")
        assert len(lanes.all()) == MOST_LANES
        assert lanes.lane("openai:used") is used, "a lane with a call in flight stays"


async def test_a_broken_lane_tells_each_owner_what_it_was_told_itself() -> None:
    lane = Lane(LaneLimits(refusals=1))
    lane.refused("ann", "the key of project X is wrong")
    assert lane.why("ann") == "the key of project X is wrong"
    assert "project X" not in (lane.why("bob") or "")
    lane.went_well()
    assert lane.why("ann") is None
