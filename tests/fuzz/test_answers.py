"""Answers of a hostile model: valid and carriable, or a failure whose calls can be stored."""

import asyncio
import json
import os
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from promptreel_server.domain.json_values import LARGEST_COUNT, misfit
from promptreel_server.domain.llm_call import Purpose
from promptreel_server.extractors.chat.chat import Completion, Messages, Question, ask
from promptreel_server.extractors.json_schema.compiled import CompiledSchema, compiled
from promptreel_server.services.messages.json_structs import to_struct

CASES = int(os.environ.get("FUZZ_CASES", "300"))
SCHEMA = {
    "type": "object",
    "properties": {"summary": {"type": "string"}, "more": {}},
    "required": ["summary"],
}
texts = st.text(st.characters(), max_size=20) | st.sampled_from(["\ud83d", "a\x00b", "\u202e"])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(texts, inner, max_size=5),
)
odd = st.sampled_from(
    [
        *("", "{", "[" * 60_000, '{"summary": ' + "[" * 30 + "]" * 30 + "}", "null", "1e400"),
        *('{"summary": "x", "more": 1e400}', '{"summary": "x", "summary": 2}', "```json\n{}\n```"),
        *('{"summary": "\\ud83d"}', '{"summary": "\\u0000"}', '{"summary": NaN}', "\ufeff{}"),
        '{"summary": "x", "more": ' + "1" * 5000 + "}",
        '{"summary": "' + "x" * 600_000 + '"}',
    ]
)
objects = st.fixed_dictionaries({"summary": texts | values, "more": values})
answers = odd | st.text(max_size=200) | objects.map(lambda answer: json.dumps(answer))
counts = st.integers(min_value=-(10**30), max_value=10**30)


class Says:
    """A chat whose every answer is drawn."""

    def __init__(self, drawn: Completion) -> None:
        self._drawn = drawn

    async def complete(
        self, messages: Messages, schema: CompiledSchema, *, limit_factor: int, attempt: int
    ) -> Completion:
        return self._drawn


@settings(max_examples=CASES, deadline=None)
@given(text=answers, reason=texts, tokens=counts)
def test_an_answer_is_carriable_or_a_failure_with_its_calls_on_record(
    text: str, reason: str, tokens: int
) -> None:
    drawn = Completion(text=text, finish_reason=reason, input_tokens=tokens, output_tokens=tokens)
    question = Question(
        model="any",
        purpose=Purpose.METADATA_EXTRACTION,
        messages=[{"role": "user", "content": f"Say what you see. {reason}"}],
        schema=compiled(SCHEMA),
    )
    extraction = asyncio.run(ask(Says(drawn), question))
    assert (extraction.metadata is None) is (extraction.failure is not None)
    assert 1 <= len(extraction.calls) <= 2
    for call in extraction.calls:
        kept: tuple[Any, ...] = (call.prompt_text, call.response_text, call.finish_reason)
        for said in (*kept, call.error_message):
            assert said is None or misfit(said) is None or len(said) > 100_000
            (said or "").encode("utf-8")
            assert "\x00" not in (said or "")
        assert 0 <= call.input_tokens <= LARGEST_COUNT
    if extraction.metadata is not None:
        assert misfit(extraction.metadata) is None
        to_struct(extraction.metadata).SerializeToString()
