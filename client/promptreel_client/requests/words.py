"""Words of closed sets to the numbers that requests carry."""

from collections.abc import Iterable
from typing import Any

from promptreel_client.errors import InvalidRequestError


def number(words: Any, word: str | None, field: str) -> Any:
    """Answer the number of a word, None for None.

    Args:
        words: The set, as the stubs have it: `enums_pb2.RunStatus.Value`.
        word: The word, such as `completed` or `RunStatus.COMPLETED`.
        field: What the request calls it.

    Raises:
        InvalidRequestError: there is no such word.
    """
    if word is None:
        return None
    known = {name: value for name, value in words.items() if value}
    if word not in known:
        raise InvalidRequestError.of_field(field, f"must be one of {', '.join(known)}")
    return known[word]


def numbers(words: Any, chosen: Iterable[str], field: str) -> list[Any]:
    """Answer the numbers of several words."""
    return [number(words, word, field) for word in chosen]
