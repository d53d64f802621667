"""The vendor's client, unmodified, in both its forms under one blocking face."""

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

from videovector import AsyncVideoVector, VideoVector, VideoVectorError
from videovector._pagination import AsyncPage

from tests.gateway.loop_thread import LoopThread

Form = Literal["sync", "async"]
Calls = Sequence[Callable[[], Any]]


def bad_fields(refused: VideoVectorError) -> list[str]:
    """The fields that a refusal names, in its order."""
    return [violation["field"] for violation in (refused.details or {})["field_violations"]]


class Awaited:
    """An async client, resource or page whose calls wait for their answer in a loop of their own.

    What it wraps is called as it is: nothing but the waiting is added.
    """

    def __init__(self, subject: Any, thread: LoopThread) -> None:
        self._subject = subject
        self._thread = thread

    def __getattr__(self, name: str) -> Any:
        return self._plain(getattr(self._subject, name))

    def __iter__(self) -> Iterator[Any]:
        return iter(self._subject)

    def __len__(self) -> int:
        return len(self._subject)

    def __getitem__(self, index: int) -> Any:
        return self._subject[index]

    def _plain(self, value: Any) -> Any:
        if inspect.ismethod(value):
            return self._calling(value)
        is_resource = type(value).__module__.startswith("videovector.resources")
        return Awaited(value, self._thread) if is_resource else value

    def _calling(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            answer = method(*args, **kwargs)
            if inspect.iscoroutine(answer):
                answer = self._thread.run(answer)
            elif inspect.isasyncgen(answer):
                answer = self._thread.run(_drained(answer))
            return Awaited(answer, self._thread) if isinstance(answer, AsyncPage) else answer

        return call


async def _drained(items: Any) -> list[Any]:
    return [item async for item in items]


@contextmanager
def vendor_client(form: Form, *, api_key: str, base_url: str, **options: Any) -> Iterator[Any]:
    """Open a client of a form for the length of the block; it makes each request once."""
    chosen = {"max_retries": 0, "timeout": 60.0, **options}
    if form == "sync":
        with VideoVector(api_key=api_key, base_url=base_url, **chosen) as client:
            yield client
        return
    thread = LoopThread()
    wrapped = Awaited(AsyncVideoVector(api_key=api_key, base_url=base_url, **chosen), thread)
    try:
        yield wrapped
        wrapped.close()
    finally:
        thread.close()
