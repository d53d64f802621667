"""Closed sets on the wire: the model's members to the numbers of the contract, and back."""

from collections.abc import Mapping
from enum import Enum
from typing import Any, Generic, TypeVar

from promptreel_server.errors import Invalid

Member = TypeVar("Member", bound=Enum)


class Words(Generic[Member]):
    """One closed set: both sides spell its words alike."""

    def __init__(self, members: type[Member], numbers: Any, words: Mapping[Member, str]) -> None:
        self._number: dict[Member, int] = {m: numbers.Value(word) for m, word in words.items()}
        self._member = {number: member for member, number in self._number.items()}
        self._choice = ", ".join(words.values())

    def number(self, member: Member) -> Any:
        """Answer the number of a member; the stubs know each by a type of its own."""
        return self._number[member]

    def member(self, number: int, field: str) -> Member:
        """Answer the member that a request names.

        Raises:
            Invalid: 0, or a number that the contract does not define.
        """
        try:
            return self._member[number]
        except KeyError as error:
            raise Invalid.field(field, f"one of {self._choice}") from error


def words(members: type[Member], numbers: Any) -> Words[Member]:
    """Pair a set of the model with one of the contract by the members' values."""
    return Words(members, numbers, {member: member.value for member in members})


def names(members: type[Member], numbers: Any) -> Words[Member]:
    """Pair a set of the model with one of the contract by the members' names in lower case."""
    return Words(members, numbers, {member: member.name.lower() for member in members})
