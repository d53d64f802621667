"""Calls as data: what to ask and how to read the answer, whichever way it travels."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from uuid import uuid4

from google.protobuf.message import Message

from promptreel_client.decoding import decode
from promptreel_client.errors import InvalidRequestError
from promptreel_client.pages import Page

T = TypeVar("T")

_KEY = re.compile(r"[!-~]{1,255}")


@dataclass(frozen=True, kw_only=True)
class Call(Generic[T]):
    """One request with one answer."""

    request: Message
    read: Callable[[Any], T]
    """Makes of the answer's message what the caller gets."""
    idempotency_key: str | None
    """Lets a write be asked for again. None: it is a read, which always may."""


@dataclass(frozen=True, kw_only=True)
class Paged(Generic[T]):
    """A list that is answered page by page; its request has a `cursor`."""

    request: Any
    read_page: Callable[[Any], Page[T]]

    def at(self, cursor: str | None) -> Call[Page[T]]:
        """Answer the call for the page that starts at a cursor, None for the first."""
        request = self.request
        if cursor is not None:
            request = type(request)()
            request.CopyFrom(self.request)
            request.cursor = cursor
        return Call(request=request, read=self.read_page, idempotency_key=None)


def reading(request: Message, kind: type[T]) -> Call[T]:
    """Ask for something that stays as it is."""
    return Call(request=request, read=lambda answer: decode(answer, kind), idempotency_key=None)


def writing(request: Message, kind: type[T], idempotency_key: str | None) -> Call[T]:
    """Ask for a change, under the caller's key or one that is made here."""
    return Call(
        request=request,
        read=lambda answer: decode(answer, kind),
        idempotency_key=key_of(idempotency_key),
    )


def reading_all(request: Message, kind: type[T], field: str = "data") -> Call[tuple[T, ...]]:
    """Ask for a list that is answered whole, in one field of the answer."""
    return Call(
        request=request,
        read=lambda answer: tuple(decode(one, kind) for one in getattr(answer, field)),
        idempotency_key=None,
    )


def paging(request: Message, kind: type[T]) -> Paged[T]:
    """Ask for a list whose pages hold `data` and `pagination`."""

    def read_page(answer: Any) -> Page[T]:
        pagination = answer.pagination
        return Page(
            data=tuple(decode(one, kind) for one in answer.data),
            next_cursor=pagination.next_cursor if pagination.HasField("next_cursor") else None,
        )

    return Paged(request=request, read_page=read_page)


def paging_items(request: Message, kind: type[T]) -> Paged[T]:
    """Ask for a list whose pages hold `items` and `next_cursor`."""

    def read_page(answer: Any) -> Page[T]:
        return Page(
            data=tuple(decode(one, kind) for one in answer.items),
            next_cursor=answer.next_cursor if answer.HasField("next_cursor") else None,
        )

    return Paged(request=request, read_page=read_page)


def key_of(given: str | None) -> str:
    """Answer the idempotency key that the caller gave, or one of our own where that is None.

    Raises:
        InvalidRequestError: it is not 1 to 255 visible ASCII characters.
    """
    if given is None:
        return new_key()
    if not _KEY.fullmatch(given):
        wanted = "must be 1 to 255 visible ASCII characters"
        raise InvalidRequestError.of_field("idempotency_key", wanted)
    return given


def new_key() -> str:
    """Make a word that nobody else makes: an idempotency key, or the id of a request."""
    return uuid4().hex
