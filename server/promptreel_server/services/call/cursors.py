"""Cursors: where a page ended, signed together with the call and the filters it belongs to."""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from promptreel.v2 import page_pb2
from promptreel_server.domain.page import Page, Position, Slice
from promptreel_server.errors import Invalid, InvalidCursor
from promptreel_server.services.call.context import current_call

DEFAULT_LIMIT = 50
MOST = 100
SIGNED_WITH = "cursors"
"""The name of the server's secret for them."""
_SIGNATURE_BYTES = 12
_LONGEST = 1024

Filters = Sequence[str | int | float | bool | None]


@dataclass(frozen=True, kw_only=True)
class Listing:
    """What a cursor is good for: one list of one owner with these filters, and its page sizes."""

    name: str
    filters: Filters = ()
    default_limit: int = DEFAULT_LIMIT
    most: int = MOST


class Cursors:
    """Makes and checks cursors; the secret is the server's own."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def limit(self, listing: Listing, request: Any) -> int:
        """Answer how many items a request asks for; its field `limit` may be absent.

        Raises:
            Invalid: the limit is out of range.
        """
        size: int = request.limit if request.HasField("limit") else listing.default_limit
        if not 1 <= size <= listing.most:
            raise Invalid.field("limit", f"must be from 1 to {listing.most}")
        return size

    def wanted(self, listing: Listing, request: Any) -> Slice:
        """Answer which page a request asks for by its fields `limit` and `cursor`.

        Raises:
            Invalid: the limit is out of range.
            InvalidCursor: the cursor is forged, or from another list or other filters.
        """
        limit = self.limit(listing, request)
        after = self.decode(listing, request.cursor) if request.cursor else None
        return Slice(limit=limit, after=after)

    def next(self, listing: Listing, page: Page[Any]) -> str | None:
        """Answer the cursor of the page that follows, None where none does."""
        return None if page.after is None else self.encode(listing, page.after)

    def pagination(self, listing: Listing, wanted: Slice, page: Page[Any]) -> page_pb2.Pagination:
        """Say where a page ends."""
        following = self.next(listing, page)
        return page_pb2.Pagination(
            limit=wanted.limit, has_more=following is not None, next_cursor=following
        )

    def encode(self, listing: Listing, position: Position) -> str:
        """Make the cursor of the page after a position."""
        payload = json.dumps(position, separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(self._sign(listing, payload) + payload).decode().rstrip("=")

    def decode(self, listing: Listing, cursor: str) -> Position:
        """Answer the position that a cursor stands for.

        Raises:
            InvalidCursor: it is forged, or from another list, other filters or another owner.
        """
        try:
            if len(cursor) > _LONGEST:
                raise ValueError("too long")
            raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        except (ValueError, binascii.Error) as error:
            raise _refused() from error
        signature, payload = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
        if not hmac.compare_digest(signature, self._sign(listing, payload)):
            raise _refused()
        return tuple(json.loads(payload))

    def _sign(self, listing: Listing, payload: bytes) -> bytes:
        context = json.dumps([listing.name, current_call().owner_id, *listing.filters]).encode()
        signed = len(context).to_bytes(4, "big") + context + payload
        return hmac.digest(self._secret, signed, hashlib.sha256)[:_SIGNATURE_BYTES]


def _refused() -> InvalidCursor:
    return InvalidCursor(
        "The cursor does not belong to this list with these filters; begin without one."
    )
