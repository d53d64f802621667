"""One question to a chat model: ask, validate, let it repair its answer once, keep every call."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from promptreel_server.clock import Clock, utc_now
from promptreel_server.domain.ids import LLM_CALL, new_id
from promptreel_server.domain.json_values import count, misfit, storable
from promptreel_server.domain.llm_call import LlmCall, LlmCallStatus, Purpose
from promptreel_server.domain.prompt import JsonObject
from promptreel_server.errors import FailureCode, ModelFailure, OperationFailure
from promptreel_server.extractors.extractor import Extraction
from promptreel_server.extractors.json_schema.compiled import CompiledSchema, parse_answer

MOST_KEPT = 200_000
"""Characters of a prompt or an answer that stay on record; a note says how many are missing."""
LONGEST_REASON = 100
"""Characters of a finish reason that stay on record."""
_STOPPED_SHORT = "length"

Messages = Sequence[dict[str, str]]
"""Chat messages: each a `role` and its `content`."""


@dataclass(frozen=True, kw_only=True)
class Completion:
    """What a chat model answered; `finish_reason` is `length` where the answer was cut off."""

    text: str
    finish_reason: str
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    thinking_tokens: int = 0
    audio_tokens: int = 0
    failure: OperationFailure | None = None
    """Why the answer is none (the model refused), where it was given and counted all the same."""


class Chat(Protocol):
    """A chat model that answers in JSON of a given schema as well as it can."""

    async def complete(
        self, messages: Messages, schema: CompiledSchema, *, limit_factor: int, attempt: int
    ) -> Completion:
        """Answer; raises OperationFailure for whatever goes wrong."""
        ...


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked, and how it stands on record.

    `tidy` takes back what the model can't know, before the answer is validated.
    """

    model: str
    purpose: Purpose
    messages: Messages
    schema: CompiledSchema
    attempt: int = 1
    limit_factor: int = 1
    video_seconds: float = 0.0
    tidy: Callable[[JsonObject], JsonObject] = lambda answer: answer


async def ask(chat: Chat, question: Question, clock: Clock = utc_now) -> Extraction:
    """Ask, and once more with the errors where the answer does not meet the schema.

    Never raises for what the model does wrong; a second invalid answer is `schema_invalid`, a cut
    off one `output_truncated`.
    """
    first = await _attempt(chat, question, clock)
    if first.wrong is None:
        return _extraction(question, (first,))
    repair = replace(
        question,
        purpose=Purpose.REPAIR,
        messages=[
            *question.messages,
            {"role": "assistant", "content": first.call.response_text or ""},
            {"role": "user", "content": _repair_text(first.wrong)},
        ],
    )
    return _extraction(question, (first, await _attempt(chat, repair, clock)))


@dataclass(frozen=True, kw_only=True)
class _Attempt:
    call: LlmCall
    metadata: JsonObject | None = None
    failure: OperationFailure | None = None
    wrong: list[str] | None = None
    """What the schema forbids in a whole answer: the model may repair that."""


async def _attempt(chat: Chat, question: Question, clock: Clock) -> _Attempt:
    invoked_at = clock()
    try:
        completion = await chat.complete(
            question.messages,
            question.schema,
            limit_factor=question.limit_factor,
            attempt=question.attempt,
        )
    except OperationFailure as refused:
        nothing = Completion(text="", finish_reason="")
        call = _call(question, nothing, invoked_at, clock(), LlmCallStatus.ERROR)
        return _Attempt(call=_failed(call, refused), failure=refused)
    done = _call(question, completion, invoked_at, clock(), LlmCallStatus.SUCCESS)
    if completion.failure is not None:
        return _Attempt(call=_failed(done, completion.failure), failure=completion.failure)
    if completion.finish_reason == _STOPPED_SHORT:
        failure = ModelFailure(
            FailureCode.OUTPUT_TRUNCATED,
            f"the answer was cut off after {completion.output_tokens} tokens",
        )
        return _Attempt(call=_failed(done, failure), failure=failure)
    metadata, wrong = await _validated(completion.text, question)
    if not wrong:
        told = _parsed(done.response_text or "") == metadata
        return _Attempt(call=done if told else replace(done, result=metadata), metadata=metadata)
    failure = ModelFailure(FailureCode.SCHEMA_INVALID, "; ".join(wrong))
    return _Attempt(call=_failed(done, failure), failure=failure, wrong=wrong)


async def _validated(text: str, question: Question) -> tuple[JsonObject | None, list[str]]:
    try:
        answer = parse_answer(_unfenced(text))
    except ValueError as error:
        return None, [f"the answer is no JSON: {error}"]
    if not isinstance(answer, dict):
        return None, ["the answer must be one JSON object"]
    wrong = misfit(answer)
    if wrong is not None:
        return None, [f"the answer {wrong}"]
    tidy = question.tidy(answer)
    return tidy, await question.schema.checked(tidy)


def _parsed(text: str) -> object:
    """What a text says as JSON; None where it is none."""
    try:
        return parse_answer(text)
    except ValueError:
        return None


def _unfenced(text: str) -> str:
    """Take the answer out of a Markdown code fence."""
    text = text.strip()
    if not text.startswith("```"):
        return text
    return text.partition("\n")[2].rpartition("```")[0]


def _repair_text(wrong: Sequence[str]) -> str:
    listed = "\n".join(f"- {sentence}" for sentence in wrong)
    return f"That answer is not valid:\n{listed}\nAnswer again with the corrected JSON object."


def _extraction(question: Question, attempts: Sequence[_Attempt]) -> Extraction:
    last = attempts[-1]
    return Extraction(
        metadata=last.metadata if last.failure is None else None,
        failure=last.failure,
        calls=tuple(attempt.call for attempt in attempts),
        raw_response=last.call.response_text,
        rendered_prompt_chars=len(_rendered(question.messages)),
    )


def _rendered(messages: Messages) -> str:
    return "\n\n".join(f"[{message['role']}]\n{message['content']}" for message in messages)


def _call(
    question: Question,
    completion: Completion,
    invoked_at: datetime,
    completed_at: datetime,
    status: LlmCallStatus,
) -> LlmCall:
    return LlmCall(
        llm_call_id=new_id(LLM_CALL),
        model=question.model,
        purpose=question.purpose,
        status=status,
        invoked_at=invoked_at,
        completed_at=completed_at,
        attempt=question.attempt,
        input_tokens=count(completion.input_tokens),
        output_tokens=count(completion.output_tokens),
        thinking_tokens=count(completion.thinking_tokens),
        cached_tokens=count(completion.cached_tokens),
        audio_tokens=count(completion.audio_tokens),
        video_seconds=question.video_seconds,
        prompt_text=_kept(_rendered(question.messages)),
        response_text=_kept(completion.text) or None,
        schema_used=question.schema.text,
        finish_reason=storable(completion.finish_reason[:LONGEST_REASON]) or None,
    )


def _failed(call: LlmCall, failure: OperationFailure) -> LlmCall:
    blocked = failure.failure_code is FailureCode.BLOCKED
    return replace(
        call,
        status=LlmCallStatus.BLOCKED if blocked else LlmCallStatus.ERROR,
        error_code=failure.failure_code.value,
        error_message=storable(failure.message),
    )


def _kept(text: str) -> str:
    text = storable(text)
    if len(text) <= MOST_KEPT:
        return text
    return f"{text[:MOST_KEPT]}\n[… {len(text) - MOST_KEPT} more characters, not kept]"


def object_text(value: JsonObject) -> str:
    """JSON on one line, as models read it."""
    return json.dumps(value, ensure_ascii=False, separators=(", ", ": "))
