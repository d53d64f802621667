"""Watches: streams that come back by themselves after a cut, with nothing missed or repeated."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import grpc

from promptreel_client.async_transport import AsyncTransport
from promptreel_client.call import new_key
from promptreel_client.following import Following, Watching, cut
from promptreel_client.statuses import known
from promptreel_client.transport import Transport

T = TypeVar("T")


class Watch(Generic[T]):
    """An iterator over what happens, until it is over; close it, or leave its `with`, before.

    Raises from iteration:
        DeadlineError: the time given is over.
        PromptreelError: the watch was refused, or the server stays away.
    """

    def __init__(
        self, transport: Transport, watching: Watching[T], timeout: float | None = None
    ) -> None:
        self._transport = transport
        self._following = Following(watching, timeout)
        self._stream: Any = None
        self._closed = False
        self._updates = self._follow()

    @property
    def sequence(self) -> int | None:
        """Where the watch stands: `after_sequence` of one that goes on from here."""
        return self._following.sequence

    def close(self) -> None:
        """End the watch; from another thread too, which ends the iteration there."""
        self._closed = True
        if self._stream is not None:
            self._stream.cancel()

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        return next(self._updates)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _follow(self) -> Iterator[T]:
        following = self._following
        while not self._closed:
            request_id = new_key()
            failure = cut()
            self._stream = self._transport.stream(
                following.request(), request_id, following.remaining()
            )
            try:
                for message in self._stream:
                    yield from following.values(message)
                    if following.meant.last:
                        return
                    if following.meant.again is not None:
                        failure = following.meant.again
                        break
                else:
                    if following.over_when_cut():
                        return
            except grpc.RpcError as error:
                if self._closed:
                    return
                failure = known(error, request_id)
            finally:
                self._stream.cancel()
            self._transport.sleep(following.delay_after(failure))


class AsyncWatch(Generic[T]):
    """An async iterator over what happens, until it is over; close it, or leave its `async with`.

    Raises from iteration:
        DeadlineError: the time given is over.
        PromptreelError: the watch was refused, or the server stays away.
    """

    def __init__(
        self, transport: AsyncTransport, watching: Watching[T], timeout: float | None = None
    ) -> None:
        self._transport = transport
        self._following = Following(watching, timeout)
        self._stream: Any = None
        self._closed = False
        self._updates = self._follow()

    @property
    def sequence(self) -> int | None:
        """Where the watch stands: `after_sequence` of one that goes on from here."""
        return self._following.sequence

    async def close(self) -> None:
        """End the watch; from another task too, which ends the iteration there."""
        self._closed = True
        if self._stream is not None:
            self._stream.cancel()

    def __aiter__(self) -> AsyncIterator[T]:
        return self

    async def __anext__(self) -> T:
        return await anext(self._updates)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def _follow(self) -> AsyncIterator[T]:
        following = self._following
        while not self._closed:
            request_id = new_key()
            failure = cut()
            self._stream = self._transport.stream(
                following.request(), request_id, following.remaining()
            )
            try:
                async for message in self._stream:
                    for value in following.values(message):
                        yield value
                    if following.meant.last:
                        return
                    if following.meant.again is not None:
                        failure = following.meant.again
                        break
                else:
                    if following.over_when_cut():
                        return
            except grpc.RpcError as error:
                failure = known(error, request_id)
            except asyncio.CancelledError:
                if not self._closed or _being_cancelled():
                    raise
                return
            finally:
                self._stream.cancel()
            await self._transport.sleep(following.delay_after(failure))


def _being_cancelled() -> bool:
    """Whether somebody cancels the task that reads, not just the stream."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
