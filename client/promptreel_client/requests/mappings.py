"""Arguments that may come as the model's dataclasses or as plain mappings of the same shape."""

from collections.abc import Mapping
from typing import Any, TypeVar

from promptreel_client.errors import InvalidRequestError

T = TypeVar("T")


def shaped(kind: type[T], given: T | Mapping[str, Any], field: str) -> T:
    """Answer what was given as a dataclass.

    Args:
        kind: The dataclass.
        given: One of its kind, or a mapping with its fields.
        field: What the request calls it.

    Raises:
        InvalidRequestError: the mapping lacks a field, or has one too many.
    """
    if isinstance(given, kind):
        return given
    try:
        return kind(**given)  # type: ignore[arg-type]  # a mapping, as the other kind is answered
    except TypeError as error:
        raise InvalidRequestError.of_field(field, f"does not fit: {error}") from error
