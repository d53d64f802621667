"""Lanes: how many calls to one model are in flight, shared fairly between owners."""

import asyncio
import logging
import time
from collections import deque
from dataclasses import dataclass

from promptreel_server.concurrency.rate_limiter import Pace, Rate

log = logging.getLogger(__name__)

BURST_SECONDS = 6.0
"""What a quiet minute did not use may come at once for so long: a tenth of its share."""


MOST_LANES = 256
"""Lanes that are kept: callers choose the names of models."""

CREDENTIAL_REFUSED = (
    "The model refuses this server's credential (401); check the provider's key in the settings."
)


@dataclass(frozen=True, kw_only=True)
class LaneLimits:
    """Bounds of the window of calls in flight to one model."""

    least: int = 1
    first: int = 16
    most: int = 64
    calls_a_minute: float = 0.0
    """Calls that may begin within a minute; 0: as many as the window lets in."""
    tokens_a_minute: float = 0.0
    """Tokens, in and out, that the answers of a minute may have taken; 0: any number."""
    longest_pause: float = 300.0
    """Seconds of pause that a model may ask for; a longer one is cut to this."""
    refusals: int = 3
    """Refused credentials in a row, with no good answer between, that break a lane."""
    probe_after: float = 30.0
    """Seconds after which a broken lane lets calls through again."""


class Lane:
    """An adaptive window: one more after each window of good answers, half on overload.

    Overload with a delay pauses the whole lane for that long, and so do quotas that are used up.
    Owners take turns, so that one with ten thousand calls waiting does not hold up another with
    one.
    """

    def __init__(self, limits: LaneLimits) -> None:
        self._limits = limits
        self._window = float(limits.first)
        self._in_flight = 0
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}
        self._paused_until = 0.0
        self._calls = _quota(limits.calls_a_minute)
        self._tokens = _quota(limits.tokens_a_minute)
        self._opens_at = 0.0
        """When the next call may begin, as far as pauses and quotas go."""
        self._wake: asyncio.TimerHandle | None = None
        self._refusals = 0
        self._broken_at: float | None = None
        self._said: dict[str, str] = {}
        """What the provider said to each owner while it refused the credential."""

    @property
    def window(self) -> int:
        """How many calls may be in flight now."""
        return int(self._window)

    @property
    def in_flight(self) -> int:
        """How many calls are in flight."""
        return self._in_flight

    @property
    def waiting(self) -> int:
        """How many calls wait for their turn."""
        return sum(len(turns) for turns in list(self._waiting.values()))

    @property
    def broken(self) -> str | None:
        """Why no further call makes sense now; None where one does.

        The provider's own words are in the failures of those calls: they may be about another
        owner's content. A lane that broke is given a chance after a while, and heals with the first
        good answer.
        """
        if self._broken_at is None:
            return None
        if time.monotonic() >= self._broken_at + self._limits.probe_after:
            return None
        return CREDENTIAL_REFUSED

    def why(self, owner_id: str) -> str | None:
        """Why no further call of an owner makes sense now, in the words that it was told."""
        generic = self.broken
        return None if generic is None else self._said.get(owner_id, generic)

    def refused(self, owner_id: str = "", message: str = "") -> None:
        """Count a call whose credential was refused; several in a row break the lane."""
        self._refusals += 1
        if message and len(self._said) < MOST_LANES:
            self._said[owner_id] = message
        if self._refusals >= self._limits.refusals:
            self._broken_at = time.monotonic()

    def give_chance(self) -> None:
        """Let calls through again: the credential may have been mended."""
        self._broken_at = None
        self._refusals = 0
        self._said.clear()

    @property
    def idle(self) -> bool:
        """Whether no call would notice if this lane were made anew."""
        return not (self._in_flight or self._waiting or self._closed())

    @property
    def hindrance(self) -> str | None:
        """What keeps calls from being made or answered, in a clause; None where nothing does."""
        if self.broken is not None:
            return self.broken
        if asyncio.get_running_loop().time() < self._paused_until:
            return "the model is overloaded and has asked for a pause"
        if self._closed():
            return "the calls or tokens that a minute may take are used up"
        if self._in_flight:
            return "calls to the model are not answered"
        return None

    def place(self, owner_id: str) -> "_Place":
        """Hold a place in the window for the length of an `async with` block."""
        return _Place(self, owner_id)

    def went_well(self) -> None:
        """Widen the window a little; a broken lane heals."""
        if self._refusals:
            self.give_chance()
        self._window = min(self._window + 1 / self._window, float(self._limits.most))

    def spent(self, *, calls: int, tokens: int) -> None:
        """Count what an answer took: calls beyond the one that was let in, and tokens."""
        self._take(self._calls, calls)
        self._take(self._tokens, tokens)

    def overloaded(self, pause: float | None) -> None:
        """Halve the window and, where the model said how long, pause the lane."""
        self._window = max(self._window / 2, float(self._limits.least))
        if pause:
            if pause > self._limits.longest_pause:
                log.warning(
                    "a model asked for a pause of %.0f s; its calls pause for %.0f s",
                    pause,
                    self._limits.longest_pause,
                )
                pause = self._limits.longest_pause
            now = asyncio.get_running_loop().time()
            self._paused_until = max(self._paused_until, now + pause)
            self._opens_at = max(self._opens_at, self._paused_until)

    def leave(self) -> None:
        """Give a place back, and let in whoever is next."""
        self._in_flight -= 1
        self._admit()

    async def enter(self, owner_id: str) -> None:
        """Wait for a place, in turn with the other owners; `leave` gives it back."""
        if not self._waiting and self._open():
            self._let_in()
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(owner_id, deque()).append(turn)
        self._admit()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave()
            raise

    def _open(self) -> bool:
        return self._in_flight < self.window and not self._closed()

    def _closed(self) -> bool:
        return bool(self._opens_at) and asyncio.get_running_loop().time() < self._opens_at

    def _admit(self) -> None:
        """Let in whoever is next, owner by owner, while there is room."""
        while self._waiting and self._open():
            owner_id, turns = next(iter(self._waiting.items()))
            del self._waiting[owner_id]
            turn = turns.popleft()
            if turns:
                self._waiting[owner_id] = turns  # at the end of the round
            if not turn.done():
                turn.set_result(None)
                self._let_in()
        self._wake_when_open()

    def _let_in(self) -> None:
        self._in_flight += 1
        self._take(self._calls, 1)

    def _take(self, quota: Pace | None, amount: int) -> None:
        if quota is not None and amount:
            quota.take(amount, asyncio.get_running_loop().time())
            self._opens_at = max(self._opens_at, quota.opens_at())

    def _wake_when_open(self) -> None:
        if self._waiting and self._closed():
            if self._wake is not None:
                self._wake.cancel()
            self._wake = asyncio.get_running_loop().call_at(self._opens_at, self._admit)


class _Place:
    """A place in the window of a lane: entered for every call, so made cheaply."""

    def __init__(self, lane: Lane, owner_id: str) -> None:
        self._lane = lane
        self._owner_id = owner_id

    async def __aenter__(self) -> None:
        await self._lane.enter(self._owner_id)

    async def __aexit__(self, *_: object) -> None:
        self._lane.leave()


def _quota(a_minute: float) -> Pace | None:
    """The pace of so much a minute; None for 0, which bounds nothing."""
    if not a_minute:
        return None
    per_second = a_minute / 60
    return Pace(Rate(per_second=per_second, burst=max(1.0, per_second * BURST_SECONDS)))


class Lanes:
    """One lane a model; of those that are idle the least recently used are forgotten."""

    def __init__(self, limits: LaneLimits) -> None:
        self._limits = limits
        self._lanes: dict[str, Lane] = {}

    def all(self) -> list[tuple[str, Lane]]:
        """Every lane there is, with its model."""
        return list(self._lanes.items())

    def lane(self, model: str) -> Lane:
        """The lane of a model."""
        lane = self._lanes.pop(model, None) or Lane(self._limits)
        self._lanes[model] = lane
        if len(self._lanes) > MOST_LANES:
            idle = [name for name, found in self._lanes.items() if found.idle and name != model]
            for name in idle[: len(self._lanes) - MOST_LANES]:
                del self._lanes[name]
        return lane
