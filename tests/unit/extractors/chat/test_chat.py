"""Asking a chat model: answers are validated, repaired once, and every call is on record."""

import json
from dataclasses import replace
from typing import Any

import pytest

from promptreel_server.domain.llm_call import LlmCallStatus, Purpose
from promptreel_server.errors import FailureCode, ModelFailure
from promptreel_server.extractors.chat.chat import MOST_KEPT, Completion, Messages, Question, ask
from promptreel_server.extractors.json_schema.compiled import CompiledSchema, compiled

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
QUESTION = Question(
    model="test",
    purpose=Purpose.METADATA_EXTRACTION,
    messages=[{"role": "system", "content": "Rules."}, {"role": "user", "content": "Evidence."}],
    schema=compiled(SCHEMA),
)


class Scripted:
    """A chat model that answers what it was given, and remembers what it was asked."""

    def __init__(self, *answers: Completion | ModelFailure | str) -> None:
        self._answers = list(answers)
        self.asked: list[Messages] = []

    async def complete(self, messages: Messages, schema: CompiledSchema, **_: Any) -> Completion:
        self.asked.append(messages)
        answer = self._answers.pop(0)
        if isinstance(answer, ModelFailure):
            raise answer
        if isinstance(answer, str):
            return Completion(text=answer, finish_reason="stop", input_tokens=7, output_tokens=3)
        return answer


async def test_a_valid_answer_is_the_result_and_one_call() -> None:
    extraction = await ask(Scripted('{"a": 1}'), QUESTION)
    assert extraction.metadata == {"a": 1}
    (call,) = extraction.calls
    assert call.status is LlmCallStatus.SUCCESS
    assert (call.input_tokens, call.output_tokens) == (7, 3)
    assert "Evidence." in (call.prompt_text or "")


async def test_an_answer_in_a_code_fence_is_taken_out_of_it() -> None:
    assert (await ask(Scripted('```json\n{"a": 1}\n```'), QUESTION)).metadata == {"a": 1}


@pytest.mark.parametrize("wrong", ['{"a": "x"}', "{", '{"a": NaN}', "[1]", ""])
async def test_an_invalid_answer_is_repaired_once_with_its_errors_shown(wrong: str) -> None:
    chat = Scripted(wrong, '{"a": 2}')
    extraction = await ask(chat, QUESTION)
    assert extraction.metadata == {"a": 2}
    assert extraction.failure is None
    first, second = extraction.calls
    assert (first.status, first.error_code) == (LlmCallStatus.ERROR, "schema_invalid")
    assert (second.status, second.purpose) == (LlmCallStatus.SUCCESS, Purpose.REPAIR)
    *_, answered, told = chat.asked[1]
    assert answered == {"role": "assistant", "content": wrong}
    assert first.error_message is not None
    assert first.error_message.split(";")[0] in told["content"]


async def test_a_second_invalid_answer_is_a_failure_without_metadata() -> None:
    extraction = await ask(Scripted('{"a": "x"}', "{}"), QUESTION)
    assert extraction.metadata is None
    assert extraction.failure is not None
    assert extraction.failure.failure_code is FailureCode.SCHEMA_INVALID
    assert "'a' is a required property" in extraction.failure.message
    assert len(extraction.calls) == 2


async def test_an_answer_that_was_cut_off_is_not_repaired() -> None:
    chat = Scripted(Completion(text='{"a": 1', finish_reason="length", output_tokens=5))
    extraction = await ask(chat, QUESTION)
    assert extraction.failure is not None
    assert extraction.failure.failure_code is FailureCode.OUTPUT_TRUNCATED
    assert extraction.calls[0].error_code == "output_truncated"
    assert len(chat.asked) == 1


@pytest.mark.parametrize(
    ("code", "status"),
    [(FailureCode.TIMEOUT, LlmCallStatus.ERROR), (FailureCode.BLOCKED, LlmCallStatus.BLOCKED)],
)
async def test_what_the_model_refuses_is_a_failure_on_record(
    code: FailureCode, status: LlmCallStatus
) -> None:
    failure = ModelFailure(code, "no", retry_after=3.0)
    extraction = await ask(Scripted(failure), QUESTION)
    assert extraction.failure is failure
    (call,) = extraction.calls
    assert (call.status, call.error_code, call.error_message) == (status, code.value, "no")


async def test_a_failure_during_the_repair_is_the_outcome() -> None:
    failure = ModelFailure(FailureCode.RATE_LIMITED, "later")
    extraction = await ask(Scripted("{}", failure), QUESTION)
    assert extraction.failure is failure
    assert len(extraction.calls) == 2


async def test_the_answer_is_tidied_before_it_is_validated() -> None:
    question = replace(QUESTION, tidy=lambda answer: {"a": len(answer)})
    assert (await ask(Scripted('{"x": 1, "y": 2}'), question)).metadata == {"a": 2}


async def test_long_prompts_are_capped_on_record_with_a_note() -> None:
    long = [{"role": "user", "content": "x" * (MOST_KEPT + 50)}]
    extraction = await ask(Scripted(json.dumps({"a": 1})), replace(QUESTION, messages=long))
    kept = extraction.calls[0].prompt_text or ""
    assert len(kept) < MOST_KEPT + 100
    assert "more characters, not kept" in kept
    assert extraction.rendered_prompt_chars > MOST_KEPT + 50
