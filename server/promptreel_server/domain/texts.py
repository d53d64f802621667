"""Texts that people give things: how long they may be, and what can't be in them."""

import unicodedata

from promptreel_server.domain.json_values import misfit
from promptreel_server.errors import Invalid


def problem(text: str, least: int, most: int) -> str | None:
    """Say what is wrong with a text of `least` to `most` characters; None where nothing is.

    Spaces around it don't count as characters; no database keeps the character NUL.
    """
    if len(text.strip()) < least or len(text) > most:
        wanted = f"{least} to {most}" if least else f"at most {most}"
        return f"must have {wanted} characters"
    wrong = misfit(text)
    return None if wrong is None else f"{wrong}; send it without"


def line_problem(text: str, least: int, most: int) -> str | None:
    """Say what is wrong with a text of one line, such as a title; None where nothing is."""
    found = problem(text, least, most)
    if found is None and any(map(_acts, text)):
        return "must not hold control or direction characters"
    return found


def _acts(character: str) -> bool:
    """Whether a character changes what is shown around it instead of showing itself."""
    return unicodedata.category(character) == "Cc" or character in _DIRECTION


_DIRECTION = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def require(field: str, text: str, least: int, most: int) -> None:
    """Refuse a text of one line that has a problem.

    Raises:
        Invalid: names the field.
    """
    found = line_problem(text, least, most)
    if found is not None:
        raise Invalid.field(field, found)
