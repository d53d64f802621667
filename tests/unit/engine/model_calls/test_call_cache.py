"""An earlier call is answered with what was made of its answer, not with its text alone."""

from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import pytest

from promptreel_server.domain.llm_call import LlmCall, LlmCallStatus, Purpose
from promptreel_server.engine.model_calls.call_cache import reused
from promptreel_server.extractors.extractor import ExtractionRequest
from tests.media_items import FACTS

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SCHEMA = {
    "type": "object",
    "properties": {"summary": {"type": "string"}, "people": {"type": "array"}},
    "required": ["summary"],
}
REQUEST = ExtractionRequest(
    run_id="run_2",
    video_id="vid_1",
    segment_id="seg_1",
    path=Path("/nowhere"),
    media_sha256="0" * 64,
    facts=replace(FACTS, duration=Fraction(10)),
    title="Clip",
    start=0.0,
    end=5.0,
    prompt_text="Say what happens.",
    json_schema=SCHEMA,
    transcript=None,
    attempt=1,
)
EARLIER = LlmCall(
    llm_call_id="llm_1",
    model="local",
    purpose=Purpose.METADATA_EXTRACTION,
    status=LlmCallStatus.SUCCESS,
    invoked_at=NOW,
    completed_at=NOW,
    response_text='{"summary": "A door opens.", "people": null}',
    input_tokens=90,
)


def test_what_was_left_out_of_an_answer_stays_out() -> None:
    again = reused(REQUEST, replace(EARLIER, result={"summary": "A door opens."}), NOW)
    assert again is not None
    assert again.metadata == {"summary": "A door opens."}
    assert again.calls[0].cached
    assert again.calls[0].total_tokens == 0


@pytest.mark.parametrize("text", [EARLIER.response_text, "```json\n{}\n```", None])
def test_an_answer_that_does_not_fit_the_schema_is_asked_for_again(text: str | None) -> None:
    assert reused(REQUEST, replace(EARLIER, response_text=text), NOW) is None
