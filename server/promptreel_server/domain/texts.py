"""Texts that people give things: how long they may be, and what can't be in them."""

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


def require(field: str, text: str, least: int, most: int) -> None:
    """Refuse a text that has a problem.

    Raises:
        Invalid: names the field.
    """
    found = problem(text, least, most)
    if found is not None:
        raise Invalid.field(field, found)
