"""The OpenAI-compatible extractor over a stand-in: frames, formats, answers, failures."""

import base64
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from promptreel_server.domain.llm_call import LlmCallStatus, Purpose
from promptreel_server.domain.segment import Transcript
from promptreel_server.errors import FailureCode, Unavailable, UnknownModel
from promptreel_server.extractors.chat.untrusted import fenced, quoted
from promptreel_server.extractors.extractor import ExtractionRequest
from promptreel_server.extractors.openai.extractor import OpenAiExtractor
from promptreel_server.extractors.openai.response_formats import strictly_held
from promptreel_server.extractors.provider_options import OpenAiOptions
from promptreel_server.extractors.registry import ExtractorOptions, Extractors
from tests import footage
from tests.stand_ins import openai_compatible as said
from tests.stand_ins.openai_compatible import KEY, StandInOpenAi, openai_served
from tests.stand_ins.wire import reply
from tests.unit.extractors.requests import (
    FACTS,
    SCHEMA,
    extraction_request,
    synthesis_request,
)

HEARD = Transcript(text="Welcome to the harbour.", language="en", words=())


@pytest.fixture
async def endpoint() -> AsyncIterator[StandInOpenAi]:
    async with openai_served(SCHEMA) as stand_in:
        yield stand_in


def made(endpoint: StandInOpenAi, **options: Any) -> OpenAiExtractor:
    given: dict[str, Any] = {
        "api_key": KEY,
        "base_url": endpoint.url,
        "call_seconds": 2.0,
    } | options
    return OpenAiExtractor(
        "openai:qwen2.5vl:7b", options=OpenAiOptions(**given), ffmpeg=footage.programs()
    )


@pytest.fixture
async def extractor(endpoint: StandInOpenAi) -> AsyncIterator[OpenAiExtractor]:
    extractor = made(endpoint)
    yield extractor
    await extractor.close()


def seen(**changes: Any) -> ExtractionRequest:
    """A request about seconds 1 to 5 of a clip with pictures."""
    clip = footage.shots(3.0, 3.0)
    facts = replace(FACTS, duration=Fraction(6), video_stream=0, audio_stream=1)
    return replace(extraction_request(path=clip.path, facts=facts, start=1.0, end=5.0), **changes)


def unseen(**changes: Any) -> ExtractionRequest:
    """A request about a clip that has nothing to show: no ffmpeg, no file."""
    return extraction_request(**changes)


async def test_a_model_is_shown_a_few_frames_and_the_transcript(
    endpoint: StandInOpenAi, extractor: OpenAiExtractor
) -> None:
    extraction = await extractor.extract(seen(transcript=HEARD))
    assert extraction.failure is None
    assert extraction.metadata == {"summary": "", "mood": "calm"}
    pictures = endpoint.pictures()
    assert 2 <= len(pictures) <= 4
    for url in pictures:
        kind, _, data = url.partition(",")
        assert kind == "data:image/jpeg;base64"
        assert base64.b64decode(data).startswith(b"\xff\xd8")
    asked = endpoint.asked[-1]
    assert asked["model"] == "qwen2.5vl:7b"
    words = asked["messages"][1]["content"][-1]["text"]
    assert f"Transcript of the segment:\n{fenced(quoted('Welcome to the harbour.'))}" in words
    assert "Seconds 1.0 to 5.0 of a video" in words
    assert '"mood"' in asked["messages"][0]["content"]


async def test_no_picture_is_on_record(extractor: OpenAiExtractor) -> None:
    (call,) = (await extractor.extract(seen())).calls
    assert "base64" not in (call.prompt_text or "")
    assert "Frames of it at seconds" in (call.prompt_text or "")


async def test_a_model_that_sees_nothing_is_shown_nothing(endpoint: StandInOpenAi) -> None:
    extractor = made(endpoint, frames=0)
    assert (await extractor.extract(seen(transcript=HEARD))).failure is None
    await extractor.close()
    assert endpoint.pictures() == []


async def test_a_call_keeps_apart_what_was_thought_and_cached(extractor: OpenAiExtractor) -> None:
    (call,) = (await extractor.extract(unseen())).calls
    assert (call.input_tokens, call.cached_tokens) == (700, 512)
    assert (call.output_tokens, call.thinking_tokens, call.total_tokens) == (60, 20, 760)


async def test_an_endpoint_that_refuses_a_format_is_asked_in_another_and_not_refused_again(
    endpoint: StandInOpenAi, extractor: OpenAiExtractor
) -> None:
    endpoint.refused_formats = ("json_schema",)
    request = unseen()
    extraction = await extractor.extract(request)
    assert extraction.failure is None
    assert len(extraction.calls) == 1
    await extractor.extract(request)
    kinds = [asked["response_format"]["type"] for asked in endpoint.asked]
    assert kinds == ["json_schema", "json_object", "json_object"]


async def test_an_endpoint_that_knows_no_format_is_asked_in_words(
    endpoint: StandInOpenAi, extractor: OpenAiExtractor
) -> None:
    endpoint.refused_formats = ("json_schema", "json_object")
    endpoint.refused_names = ("max_tokens",)
    assert (await extractor.extract(unseen())).failure is None
    assert "response_format" not in endpoint.asked[-1]
    assert endpoint.asked[-1]["max_completion_tokens"] == 2048
    assert len(endpoint.asked) == 4


async def test_a_format_refused_for_one_schema_is_still_tried_for_another(
    endpoint: StandInOpenAi, extractor: OpenAiExtractor
) -> None:
    endpoint.faults = [said.failing(400, "the grammar of this json_schema is too complex")]
    await extractor.extract(unseen())
    other = {"type": "object", "properties": {"b": {"type": "string"}}}
    await extractor.extract(unseen(json_schema=other))
    kinds = [asked["response_format"]["type"] for asked in endpoint.asked]
    assert kinds == ["json_schema", "json_object", "json_schema"]


async def test_thoughts_ahead_of_the_answer_are_left_out(
    endpoint: StandInOpenAi, extractor: OpenAiExtractor
) -> None:
    answer = '<think>\nHm, {"a"}?\n</think>\n\n```json\n{"summary": "A ship"}\n```'
    endpoint.faults = [said.ended("stop", answer)]
    assert (await extractor.extract(unseen())).metadata == {"summary": "A ship"}


FAULTS: dict[str, tuple[said.Fault, FailureCode, float | None]] = {
    "429 with Retry-After": (
        said.failing(429, "slow down", retry_after="4"),
        FailureCode.RATE_LIMITED,
        4.0,
    ),
    "a quota used up": (
        said.failing(429, "pay", "insufficient_quota"),
        FailureCode.QUOTA_EXHAUSTED,
        None,
    ),
    "500": (said.failing(500, "oh"), FailureCode.MODEL_UNAVAILABLE, None),
    "503 while loading": (said.failing(503, "Loading"), FailureCode.MODEL_UNAVAILABLE, None),
    "an unknown model": (said.failing(404, "no such model"), FailureCode.INVALID_REQUEST, None),
    "a context too small": (
        said.failing(400, "This model's maximum context length is 4096 tokens"),
        FailureCode.INVALID_REQUEST,
        None,
    ),
    "502 in HTML": (said.html(502), FailureCode.MODEL_UNAVAILABLE, None),
    "200 in HTML": (said.html(200), FailureCode.MODEL_UNAVAILABLE, None),
    "an error with 200": (
        lambda _good: reply({"error": {"message": "upstream", "code": 429}}),
        FailureCode.RATE_LIMITED,
        None,
    ),
    "a list": (lambda _good: reply([1]), FailureCode.MODEL_UNAVAILABLE, None),
    "no choice": (
        lambda _good: reply({"choices": []}),
        FailureCode.MODEL_UNAVAILABLE,
        None,
    ),
    "a reset": (said.reset, FailureCode.MODEL_UNAVAILABLE, None),
    "no answer in time": (said.late(9.0), FailureCode.TIMEOUT, None),
    "a filter": (said.ended("content_filter", ""), FailureCode.BLOCKED, None),
    "a refusal": (said.ended("stop", "", refusal="I won't."), FailureCode.BLOCKED, None),
    "nothing": (said.ended("stop", ""), FailureCode.MODEL_UNAVAILABLE, None),
    "length": (said.ended("length", '{"su'), FailureCode.OUTPUT_TRUNCATED, None),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_what_goes_wrong_is_told_apart_and_on_record(
    fault: str, endpoint: StandInOpenAi, extractor: OpenAiExtractor
) -> None:
    make, code, pause = FAULTS[fault]
    endpoint.faults = [make]
    extraction = await extractor.extract(unseen())
    failure = extraction.failure
    assert failure is not None
    assert (failure.failure_code, failure.retry_after) == (code, pause)
    (call,) = extraction.calls
    blocked = code is FailureCode.BLOCKED
    assert call.status is (LlmCallStatus.BLOCKED if blocked else LlmCallStatus.ERROR)
    assert call.error_code == code.value
    assert len(endpoint.asked) == 1


async def test_a_wrong_answer_is_repaired_once_with_its_frames_before_the_model(
    endpoint: StandInOpenAi, extractor: OpenAiExtractor
) -> None:
    endpoint.faults = [said.ended("stop", '{"mood": "elated"}')]
    extraction = await extractor.extract(seen())
    assert extraction.failure is None
    assert [call.purpose for call in extraction.calls] == [
        Purpose.METADATA_EXTRACTION,
        Purpose.REPAIR,
    ]
    assert endpoint.pictures() == endpoint.pictures(0) != []
    assert "is not one of" in endpoint.asked[-1]["messages"][-1]["content"]


async def test_an_endpoint_that_nobody_serves_is_unavailable() -> None:
    options = OpenAiOptions(base_url="http://127.0.0.1:9/v1")
    extractor = OpenAiExtractor("openai:m", options=options, ffmpeg=footage.programs())
    failure = (await extractor.extract(unseen())).failure
    await extractor.close()
    assert failure is not None
    assert failure.failure_code is FailureCode.MODEL_UNAVAILABLE


async def test_the_key_is_in_no_record_and_no_message(endpoint: StandInOpenAi) -> None:
    key = "sk-a-wrong-and-secret-key"
    extractor = made(endpoint, api_key=key)
    extraction = await extractor.extract(unseen())
    await extractor.close()
    assert extraction.failure is not None
    assert extraction.failure.failure_code is FailureCode.UNAUTHENTICATED
    assert "Incorrect API key provided: Bearer (key)" in extraction.failure.message
    assert key not in repr(extraction)


async def test_without_a_key_none_is_sent(endpoint: StandInOpenAi) -> None:
    endpoint.key = None
    extractor = made(endpoint, api_key=None)
    assert (await extractor.extract(unseen())).failure is None
    await extractor.close()


async def test_a_long_synthesis_is_reduced_in_levels(endpoint: StandInOpenAi) -> None:
    extractor = made(endpoint, prompt_characters=1200)
    extraction = await extractor.synthesize(synthesis_request(120))
    await extractor.close()
    assert extraction.failure is None
    assert len(extraction.calls) > 3
    assert {call.purpose for call in extraction.calls} == {Purpose.VIDEO_SYNTHESIS}
    asked = json.dumps(endpoint.asked)
    for number in range(120):
        assert f"summary: S{number}" in asked


async def test_a_synthesis_that_fails_on_the_way_says_how(endpoint: StandInOpenAi) -> None:
    endpoint.faults = [said.failing(429, "slow down", retry_after="6")]
    extractor = made(endpoint, prompt_characters=1200)
    extraction = await extractor.synthesize(synthesis_request(120))
    await extractor.close()
    assert extraction.failure is not None
    assert extraction.failure.failure_code is FailureCode.RATE_LIMITED
    assert extraction.failure.retry_after == 6.0


async def test_a_schema_too_long_to_be_spelled_out_is_refused_before_a_run(
    endpoint: StandInOpenAi,
) -> None:
    extractor = made(endpoint, prompt_characters=100)
    assert "openai_prompt_characters" in (extractor.refuse(SCHEMA) or "")
    assert made(endpoint).refuse(SCHEMA) is None


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (OpenAiOptions(), "PROMPTREEL_OPENAI_BASE_URL"),
        (OpenAiOptions(base_url="localhost:11434"), "openai_base_url"),
        (OpenAiOptions(base_url="http://x", frames=-1), "openai_frames"),
    ],
)
def test_settings_that_can_not_be_meant_are_named_before_a_run(
    options: OpenAiOptions, named: str
) -> None:
    with pytest.raises(Unavailable, match=named):
        Extractors(ExtractorOptions(openai=options)).extractor("openai:m")


@pytest.mark.parametrize("name", ["openai:", "openai:  ", "openai:a\nb"])
def test_a_name_that_no_model_can_have_is_refused(name: str) -> None:
    options = ExtractorOptions(openai=OpenAiOptions(api_key=KEY))
    with pytest.raises(UnknownModel):
        Extractors(options).extractor(name)


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        (SCHEMA, False),
        (
            {
                "type": "object",
                "properties": {"a": {"type": "array", "items": {"type": "string"}}},
                "required": ["a"],
                "additionalProperties": False,
            },
            True,
        ),
        (
            {
                "type": "object",
                "properties": {"a": {"type": "object", "properties": {}}},
                "required": ["a"],
                "additionalProperties": False,
            },
            False,
        ),
        (
            {
                "type": "object",
                "properties": {"a": {"type": "string", "minLength": 1}},
                "required": ["a"],
                "additionalProperties": False,
            },
            False,
        ),
    ],
)
def test_only_schemas_that_openai_takes_so_are_strict(schema: Any, strict: bool) -> None:
    assert strictly_held(schema) is strict
