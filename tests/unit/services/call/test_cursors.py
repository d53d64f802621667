from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptreel.v2 import index_pb2
from promptreel_server.domain.key import Scope
from promptreel_server.errors import Invalid, InvalidCursor
from promptreel_server.services.call.context import Call, current
from promptreel_server.services.call.cursors import Cursors, Listing

CURSORS = Cursors(b"a secret of the server")
LISTING = Listing(name="ListThings", filters=("idx_1", None, True))


def _call(owner: str) -> Call:
    return Call(owner_id=owner, key_id="key_1", scope=Scope.READ, request_id="req-1")


@pytest.fixture(autouse=True)
def _called() -> Iterator[None]:
    token = current.set(_call("ann"))
    yield
    current.reset(token)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.one_of(st.text(), st.integers(), st.floats(allow_nan=False, allow_infinity=False)),
        max_size=4,
    )
)
def test_a_position_survives_its_cursor(position: list[str | int | float]) -> None:
    token = current.set(_call("ann"))
    try:
        cursor = CURSORS.encode(LISTING, tuple(position))
        assert CURSORS.decode(LISTING, cursor) == tuple(position)
        assert cursor.replace("-", "").replace("_", "").isalnum()
    finally:
        current.reset(token)


@pytest.mark.parametrize(
    "listing",
    [
        Listing(name="ListOthers", filters=LISTING.filters),
        Listing(name=LISTING.name, filters=("idx_2", None, True)),
        Listing(name=LISTING.name, filters=("idx_1", True, None)),
        Listing(name=LISTING.name),
    ],
)
def test_a_cursor_is_bound_to_its_list_and_its_filters(listing: Listing) -> None:
    cursor = CURSORS.encode(LISTING, ("a",))

    with pytest.raises(InvalidCursor):
        CURSORS.decode(listing, cursor)


def test_a_cursor_is_bound_to_its_owner_and_its_server() -> None:
    cursor = CURSORS.encode(LISTING, ("a",))

    with pytest.raises(InvalidCursor):
        Cursors(b"another secret").decode(LISTING, cursor)
    current.set(_call("bob"))
    with pytest.raises(InvalidCursor):
        CURSORS.decode(LISTING, cursor)


def test_page_sizes_do_not_matter_to_a_cursor() -> None:
    cursor = CURSORS.encode(LISTING, ("a",))
    larger = Listing(name=LISTING.name, filters=LISTING.filters, default_limit=7, most=9)

    request = index_pb2.ListIndexesRequest(cursor=cursor)

    assert CURSORS.wanted(larger, request).after == ("a",)
    assert CURSORS.wanted(larger, request).limit == 7
    with pytest.raises(Invalid, match="from 1 to 9"):
        CURSORS.wanted(larger, index_pb2.ListIndexesRequest(limit=10))
