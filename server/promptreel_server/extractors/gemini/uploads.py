"""Media uploaded to Gemini: once per media item and run, deleted after it, re-made when gone."""

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from google.genai import errors, types

from promptreel_server.clock import Clock, utc_now
from promptreel_server.errors import FailureCode, MediaUnreadable, ModelFailure, OperationFailure

log = logging.getLogger(__name__)

Key = tuple[str, str]
"""A run and a media item."""

_EARLY = timedelta(minutes=15)
"""How long before an upload expires it is made anew."""
_MOST_MADE = 4
"""Uploads of one media item in a row that no answer was got with; after them it is given up."""
_POLLS = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Pauses between looks at a file that is being processed; the last one goes on."""


class Files(Protocol):
    """The Files API, as the client has it."""

    async def upload(self, *, file: str, config: types.UploadFileConfig) -> types.File:
        """Send a file."""
        ...

    async def get(self, *, name: str) -> types.File:
        """Look at a file."""
        ...

    async def delete(self, *, name: str) -> types.DeleteFileResponse:
        """Delete a file."""
        ...


@dataclass(frozen=True, kw_only=True)
class Upload:
    """A file that can be asked about."""

    name: str
    uri: str
    mime_type: str
    expires_at: datetime | None


@dataclass(kw_only=True)
class _Place:
    """What is known of one media item of one run."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    upload: Upload | None = None
    users: int = 0
    made: int = 0
    """How many times it was tried."""
    failed: int = 0
    """How many of these failed."""
    unproved: int = 0
    """How many in a row were of no use."""
    failure: OperationFailure | None = None
    leaving: bool = False


class Uploads:
    """The uploads of one client. Segments that ask at once share one upload, and its failure."""

    def __init__(
        self,
        files: Files,
        told_apart: Callable[[], AbstractContextManager[None]],
        *,
        clock: Clock = utc_now,
        ready_seconds: float = 600.0,
    ) -> None:
        self._files = files
        self._told_apart = told_apart
        self._clock = clock
        self._ready_seconds = ready_seconds
        self._places: dict[Key, _Place] = {}

    def has(self, key: Key) -> bool:
        """Whether there is an upload, or one is being made."""
        return key in self._places

    def stands(self, key: Key) -> bool:
        """Whether there is an upload that can be asked about."""
        place = self._places.get(key)
        return place is not None and place.upload is not None and not self._expires(place.upload)

    @asynccontextmanager
    async def held(self, key: Key, path: Path, mime_type: str) -> AsyncIterator[Upload]:
        """Answer the upload of a media item, made where there is none, and keep it meanwhile.

        Raises:
            OperationFailure: it can't be made; those who waited for it get the same failure.
        """
        place = self._places.setdefault(key, _Place())
        place.users += 1
        place.leaving = False
        try:
            yield await self._ready(key, place, path, mime_type)
        finally:
            place.users -= 1
            if place.leaving and not place.users:
                await self._drop(key, place)

    def lost(self, key: Key, upload: Upload) -> None:
        """Take note that the provider no longer has an upload: the next one to ask makes it anew.

        Many segments find out at once; only the first note about an upload counts.
        """
        place = self._places.get(key)
        if place is not None and place.upload is upload:
            place.upload = None

    def proved(self, key: Key) -> None:
        """Take note that an answer was got with the upload."""
        place = self._places.get(key)
        if place is not None:
            place.unproved = 0

    async def release(self, key: Key) -> None:
        """Delete the upload of a media item, as soon as nobody asks about it; idempotent."""
        place = self._places.get(key)
        if place is None:
            return
        place.leaving = True
        if not place.users:
            await self._drop(key, place)

    async def close(self) -> None:
        """Delete every upload."""
        for key in list(self._places):
            place = self._places[key]
            await self._drop(key, place)

    async def _ready(self, key: Key, place: _Place, path: Path, mime_type: str) -> Upload:
        failed = place.failed
        async with place.lock:
            if place.upload is not None and not self._expires(place.upload):
                return place.upload
            failure = place.failure
            if failure is not None and (
                place.failed != failed or not failure.failure_code.transient
            ):
                raise ModelFailure(
                    failure.failure_code, failure.message, retry_after=failure.retry_after
                )
            place.made += 1
            place.unproved += 1
            try:
                place.upload = await self._make(key, place, path, mime_type)
            except OperationFailure as error:
                place.failure = error
                place.failed += 1
                raise
            place.failure = None
            return place.upload

    async def _make(self, key: Key, place: _Place, path: Path, mime_type: str) -> Upload:
        if place.unproved > _MOST_MADE:
            raise ModelFailure(
                FailureCode.INVALID_REQUEST,
                f"Gemini did not keep the media although it was uploaded {_MOST_MADE} times",
            )
        name = _name(key, place.made)
        with self._told_apart():
            try:
                config = types.UploadFileConfig(name=name, mime_type=mime_type)
                file = await self._files.upload(file=str(path), config=config)
            except errors.APIError as error:
                if error.code != 409:
                    raise
                file = await self._files.get(name=name)  # left by a process that died
            file = await self._active(file)
        return Upload(
            name=file.name or name,
            uri=file.uri or "",
            mime_type=file.mime_type or mime_type,
            expires_at=file.expiration_time,
        )

    async def _active(self, file: types.File) -> types.File:
        """Wait until a file has been processed."""
        waited, looks = 0.0, 0
        while file.state is types.FileState.PROCESSING:
            pause = _POLLS[min(looks, len(_POLLS) - 1)]
            waited, looks = waited + pause, looks + 1
            if waited > self._ready_seconds:
                raise ModelFailure(
                    FailureCode.TIMEOUT,
                    f"Gemini was not done with the media after {self._ready_seconds:g} s",
                )
            await asyncio.sleep(pause)
            file = await self._files.get(name=file.name or "")
        if file.state is types.FileState.FAILED:
            said = file.error.message if file.error and file.error.message else "it does not say"
            raise MediaUnreadable(f"Gemini can't read the media: {said}")
        return file

    def _expires(self, upload: Upload) -> bool:
        return upload.expires_at is not None and self._clock() > upload.expires_at - _EARLY

    async def _drop(self, key: Key, place: _Place) -> None:
        """Forget a media item and delete its upload; what fails here expires by itself."""
        if self._places.get(key) is place:
            del self._places[key]
        upload, place.upload = place.upload, None
        if upload is None:
            return
        try:
            with self._told_apart():
                await self._files.delete(name=upload.name)
        except OperationFailure as failure:
            log.warning(
                "an upload could not be deleted and stays until it expires: %s", failure.message
            )


def _name(key: Key, number: int) -> str:
    """A name that a process which takes up a run after a crash finds again."""
    text = "\0".join([*key, str(number)])
    return f"promptreel-{hashlib.sha256(text.encode()).hexdigest()[:28]}"
