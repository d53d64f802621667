"""Work without end: what breaks once is logged and tried again at the next turn."""

import asyncio
import contextlib
import logging
from collections.abc import Iterator

from promptreel_server.errors import StoreUnavailable

log = logging.getLogger(__name__)


@contextlib.contextmanager
def unbroken(what: str) -> Iterator[None]:
    """Log what breaks in the block, and go on behind it: a server outlives a full disk."""
    try:
        yield
    except StoreUnavailable as error:
        log.warning("%s waits for the store: %s", what, error.message)
    except Exception:
        log.exception("%s broke off; it is tried again", what)


async def woken(event: asyncio.Event, seconds: float) -> None:
    """Wait for news, or for so long: a wake-up may have been lost with the call that owed it."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
