"""JSON Schema (Draft 2020-12): what a prompt may ask for, and whether an answer meets it."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from jsonschema import Draft202012Validator, ValidationError

from promptreel_server.domain.json_values import misfit
from promptreel_server.domain.prompt import JsonObject
from promptreel_server.errors import Invalid
from promptreel_server.extractors.json_schema.check import (
    MOST_BYTES,
    RESERVED_NAMES,
    check_schema,
)
from promptreel_server.extractors.json_schema.leaves import leaves, metadata_text
from promptreel_server.extractors.json_schema.sample import BLANK, sample
from promptreel_server.extractors.json_schema.validator import (
    Budget,
    BudgetExceeded,
    errors,
    validator,
)

__all__ = [
    "BLANK",
    "MOST_BYTES",
    "RESERVED_NAMES",
    "CompiledSchema",
    "check_schema",
    "compiled",
    "leaves",
    "metadata_text",
    "parse_answer",
    "sample",
]

MOST_ERRORS = 8
_LONGEST_MESSAGE = 300
STEPS_AT_ONCE = 5_000
"""Steps of a validation that may be taken on the event loop: about 15 ms of CPU."""
MOST_STEPS = 300_000
"""Steps that any validation may take, in a thread beside the loop: about a second of CPU."""
TOO_INTRICATE = (
    "the answer: is too large or too intricate to be checked against this schema; make the schema "
    "simpler (fewer alternatives, no unevaluatedProperties) or ask for less"
)


@dataclass(frozen=True)
class CompiledSchema:
    """A schema made ready for many answers; `schema` is it in plain JSON types."""

    schema: dict[str, Any]
    text: str

    @cached_property
    def _validator(self) -> Draft202012Validator:
        return validator(self.schema)

    @cached_property
    def sample(self) -> JsonObject:
        """A small valid object with every property; raises Invalid where none could be made."""
        made = sample(self.schema)
        unfit = misfit(made)
        errors = [f"it {unfit}"] if unfit else self.validate(made)
        if errors:
            raise Invalid.field("json_schema", f"no sample answer can be made: {errors[0]}")
        return made

    @cached_property
    def template(self) -> str:
        """The sample as JSON text, with `BLANK` wherever any string is valid."""
        text = json.dumps(sample(self.schema, blank=BLANK), ensure_ascii=False)
        filled = json.loads(text.replace(json.dumps(BLANK), '"filled"'))
        return text if not self.validate(filled) else json.dumps(self.sample, ensure_ascii=False)

    def validate(self, instance: object) -> list[str]:
        """Say what is wrong with a small instance, a sentence each, at most `MOST_ERRORS`.

        An instance that takes more than `STEPS_AT_ONCE` steps has `TOO_INTRICATE` for an error:
        `checked` has more patience.
        """
        try:
            return self._errors(instance, Budget(STEPS_AT_ONCE))
        except BudgetExceeded:
            return [TOO_INTRICATE]

    async def checked(self, instance: object) -> list[str]:
        """Say what is wrong with an answer, a sentence each, at most `MOST_ERRORS`; none: valid.

        What takes long is done beside the event loop, one at a time, and ends when its steps are
        used up or the caller has gone.
        """
        try:
            return self._errors(instance, Budget(STEPS_AT_ONCE))
        except BudgetExceeded:
            budget = Budget(MOST_STEPS)
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(_beside, self._errors, instance, budget)
        except BudgetExceeded:
            return [TOO_INTRICATE]
        finally:
            budget.abandoned = True

    def _errors(self, instance: object, budget: Budget) -> list[str]:
        found: list[str] = []
        for error in errors(self._validator, instance, budget):
            place = ".".join(map(str, error.absolute_path)) or "the answer"
            found.append(f"{place}: {_readable(error)}")
            if len(found) == MOST_ERRORS:
                break
        return found


_beside = ThreadPoolExecutor(max_workers=1, thread_name_prefix="validation")
_kept: dict[int, tuple[JsonObject, CompiledSchema]] = {}
_MOST_KEPT = 256


def compiled(json_schema: JsonObject) -> CompiledSchema:
    """Answer the compiled form of a schema, kept for as long as it is used.

    Kept by identity, with the schema held so that the identity stays its own: a run hands the same
    frozen object in for every segment, and a look-up must cost next to nothing.

    Raises:
        Invalid: no prompt can ask for it; one that was stored by an earlier version may be so.
    """
    entry = _kept.get(id(json_schema))
    if entry is not None:
        return entry[1]
    schema = check_schema(json_schema)
    made = CompiledSchema(schema=schema, text=json.dumps(schema, ensure_ascii=False))
    while len(_kept) >= _MOST_KEPT:
        _kept.pop(next(iter(_kept)))
    _kept[id(json_schema)] = (json_schema, made)
    return made


def parse_answer(text: str) -> object:
    """Parse a model's answer as strict JSON; raises ValueError, for NaN and Infinity too."""
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


def _readable(error: ValidationError) -> str:
    message = str(error.message)
    if len(message) <= _LONGEST_MESSAGE:
        return message
    return f"…{message[-_LONGEST_MESSAGE:]}"
