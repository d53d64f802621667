"""A JSON Schema validator that retrieves nothing, matches with RE2 and counts its steps.

jsonschema does the work. Every keyword that it evaluates is charged to a budget first, by what it
may cost: one step, and one for each element that the keyword goes through. `uniqueItems`, `enum`
and `const` are replaced by versions whose cost is linear. A validation that would take more steps
than it may ends with `BudgetExceeded`, whatever schema and instance are.
"""

from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import extend
from referencing import Registry

from promptreel_server.domain.prompt import JsonObject
from promptreel_server.extractors.json_schema.patterns import matches

_CHARACTERS_A_STEP = 64
_PAIRS_A_STEP = 64


class BudgetExceeded(Exception):
    """A validation takes more steps than it may, or nobody waits for it any more."""


@dataclass
class Budget:
    """How many steps a validation may still take; a step takes about three microseconds of CPU."""

    steps: int
    abandoned: bool = False
    """Set from outside where nobody waits for the answer any more."""

    def charge(self, steps: int) -> None:
        """Take steps; raises BudgetExceeded where there are not so many left."""
        self.steps -= steps
        if self.steps < 0 or self.abandoned:
            raise BudgetExceeded


_budget: ContextVar[Budget] = ContextVar("budget of the validation under way")

Errors = Iterator[ValidationError]
Keyword = Callable[[Any, Any, Any, Any], Any]


def errors(validator: Draft202012Validator, instance: object, budget: Budget) -> Errors:
    """Yield what is wrong with an instance.

    Raises:
        BudgetExceeded: finding out takes more steps than the budget has.
    """
    token = _budget.set(budget)
    try:
        yield from validator.iter_errors(instance)
    except RecursionError as error:
        raise BudgetExceeded from error
    finally:
        _budget.reset(token)


def validator(json_schema: JsonObject) -> Draft202012Validator:
    """Make a validator of a schema that `check_schema` has taken; it retrieves nothing."""
    made: Draft202012Validator = _Validator(json_schema, registry=Registry())
    return made


def _charged(keyword: Keyword) -> Keyword:
    def evaluate(validator: Any, value: Any, instance: Any, schema: Any) -> Errors:
        budget = _budget.get()
        budget.charge(1 + _length(instance) + _length(value))
        for error in keyword(validator, value, instance, schema) or ():
            budget.charge(len(error.message) // _CHARACTERS_A_STEP)
            yield error

    return evaluate


def _length(value: Any) -> int:
    if isinstance(value, str):
        return len(value) // _CHARACTERS_A_STEP
    return len(value) if isinstance(value, list | Mapping) else 0


def _pattern(_validator: Any, pattern: str, instance: Any, _schema: Any) -> Errors:
    if isinstance(instance, str) and not matches(pattern, instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _unique_items(_validator: Any, wanted: bool, instance: Any, _schema: Any) -> Errors:
    if not wanted or not isinstance(instance, list):
        return
    if len({_canonical(item) for item in instance}) < len(instance):
        yield ValidationError(f"{instance!r} has non-unique elements")


def _enum(_validator: Any, members: list[Any], instance: Any, _schema: Any) -> Errors:
    if _canonical(instance) not in map(_canonical, members):
        yield ValidationError(f"{instance!r} is not one of {members!r}")


def _const(_validator: Any, wanted: Any, instance: Any, _schema: Any) -> Errors:
    if _canonical(instance) != _canonical(wanted):
        yield ValidationError(f"{wanted!r} was expected")


def _unevaluated(keyword: Keyword) -> Keyword:
    """Jsonschema looks each property up in a list of those evaluated: charged as pairs."""

    def evaluate(validator: Any, value: Any, instance: Any, schema: Any) -> Errors:
        _budget.get().charge(_length(instance) ** 2 // _PAIRS_A_STEP)
        yield from keyword(validator, value, instance, schema) or ()

    return evaluate


def _canonical(value: Any) -> Any:
    """A value that can be hashed and is equal where JSON Schema says equal: 1 is 1.0, not true."""
    if isinstance(value, bool) or value is None:
        return (type(value).__name__, value)
    if isinstance(value, list):
        _budget.get().charge(len(value))
        return ("list", tuple(map(_canonical, value)))
    if isinstance(value, Mapping):
        _budget.get().charge(len(value))
        return ("object", frozenset((name, _canonical(child)) for name, child in value.items()))
    return value


_known: dict[str, Keyword] = dict(Draft202012Validator.VALIDATORS)
_keywords: dict[str, Keyword] = {
    **_known,
    "pattern": _pattern,
    "uniqueItems": _unique_items,
    "enum": _enum,
    "const": _const,
    "unevaluatedProperties": _unevaluated(_known["unevaluatedProperties"]),
    "unevaluatedItems": _unevaluated(_known["unevaluatedItems"]),
}
_Validator = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator, {name: _charged(keyword) for name, keyword in _keywords.items()}
)
