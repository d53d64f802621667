"""Keeps what was paid for: what is done is written, however long the store can't be."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from promptreel_server.errors import StoreUnavailable

log = logging.getLogger(__name__)

Result = TypeVar("Result")

SHORTEST_PAUSE = 0.5
LONGEST_PAUSE = 30.0


async def kept(write: Callable[[], Awaitable[Result]]) -> Result:
    """Write, again and again while a disk is full or a file is locked.

    Holds the outcome of a call to a model meanwhile, so that the call is not made twice.
    """
    pause = SHORTEST_PAUSE
    while True:
        try:
            return await write()
        except StoreUnavailable as error:
            log.debug("what is done waits to be written: %s", error.message)
        await asyncio.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)
