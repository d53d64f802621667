"""The local extractor: what it needs, what it asks, and that its grammar really holds."""

import re
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from promptreel_server.domain.llm_call import Purpose
from promptreel_server.domain.media import MediaType
from promptreel_server.domain.segment import Transcript
from promptreel_server.errors import FailureCode, ModelFailure, Unavailable
from promptreel_server.extractors.chat.chat import Completion, Messages
from promptreel_server.extractors.json_schema.compiled import CompiledSchema
from promptreel_server.extractors.local.extractor import LONGEST_SCHEMA, LocalExtractor
from promptreel_server.extractors.registry import ExtractorOptions, Extractors
from promptreel_server.media.process.ffmpeg import Ffmpeg
from promptreel_server.weights.shelf import Shelf
from tests.unit.extractors.requests import FACTS, SCHEMA, extraction_request, synthesis_request

PROGRAMS = Ffmpeg(
    ffmpeg=Path("/ffmpeg"), ffprobe=Path("/ffprobe"), version="6", reads_descriptors=True
)


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    """A shelf on which everything seems to be."""
    monkeypatch.setattr(Shelf, "require", lambda self, name: tmp_path / name)
    return Shelf(tmp_path)


Answer = Callable[[Messages, CompiledSchema], str]


class Written:
    """Stands in for the language model; remembers what it was asked."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.asked: list[Messages] = []
        self.limits: list[int] = []

    async def complete(
        self, messages: Messages, schema: CompiledSchema, *, limit_factor: int, attempt: int
    ) -> Completion:
        self.asked.append(messages)
        self.limits.append(limit_factor)
        return Completion(text=self._answer(messages, schema), finish_reason="stop")


def _extractor(shelf: Shelf, answer: Answer) -> tuple[LocalExtractor, Written]:
    extractor, written = LocalExtractor(ffmpeg=PROGRAMS, shelf=shelf), Written(answer)
    extractor._chat = written  # type: ignore[assignment]
    return extractor, written


async def test_what_is_asked_holds_the_task_the_schema_and_the_evidence(shelf: Shelf) -> None:
    extractor, written = _extractor(shelf, lambda *_: '{"summary": "A", "mood": "calm"}')
    said = Transcript(text="Good evening", language="en", words=())
    request = extraction_request(
        start=10.0, end=12.5, transcript=said, output_limit_factor=2, title="News at ten"
    )
    extraction = await extractor.extract(replace(request, facts=replace(FACTS, audio_stream=None)))
    assert extraction.metadata == {"summary": "A", "mood": "calm"}
    system, user = written.asked[0]
    assert "Task: Say what is seen." in system["content"]
    assert '"enum": ["calm", "tense", "unclear"]' in system["content"]
    assert 'Seconds 10.0 to 12.5 of 60.0, video called "News at ten"' in user["content"]
    assert written.limits == [2]
    assert extraction.calls[0].video_seconds == 2.5


async def test_file_names_are_no_evidence_and_images_have_no_time(shelf: Shelf) -> None:
    extractor, written = _extractor(shelf, lambda *_: '{"summary": ""}')
    image = replace(FACTS, media_type=MediaType.IMAGE)
    await extractor.extract(extraction_request(title="IMG_1234.jpg", facts=image))
    user = written.asked[0][1]["content"]
    assert "An image" in user
    assert "IMG_1234" not in user
    assert "Seconds" not in user


async def test_a_long_medium_is_condensed_in_levels_and_every_call_is_on_record(
    shelf: Shelf,
) -> None:
    def answer(messages: Messages, schema: CompiledSchema) -> str:
        if "notes" in schema.schema["properties"]:
            found = " ".join(re.findall(r"S\d+", messages[-1]["content"]))
            return f'{{"notes": "{found[:1200]}"}}'
        return '{"summary": "all of it"}'

    extractor, written = _extractor(shelf, answer)
    request = synthesis_request(3000)
    extraction = await extractor.synthesize(request)
    assert extraction.metadata == {"summary": "all of it"}
    assert len(extraction.calls) == len(written.asked) > 10
    assert {call.purpose for call in extraction.calls} == {Purpose.VIDEO_SYNTHESIS}
    read = "\n".join(messages[-1]["content"] for messages in written.asked)
    assert all(f"S{number}" in read for number in range(3000))
    assert all(len(str(messages)) < 12_000 for messages in written.asked)


async def test_media_that_cannot_be_read_fail_without_a_call(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    extractor, written = _extractor(shelf, lambda *_: "{}")

    async def fail(*_: Any) -> None:
        raise ModelFailure(FailureCode.MEDIA_UNREADABLE, "no picture")

    monkeypatch.setattr(type(extractor._gatherer), "gather", fail)
    extraction = await extractor.extract(extraction_request())
    assert extraction.failure is not None
    assert extraction.failure.failure_code is FailureCode.MEDIA_UNREADABLE
    assert extraction.calls == ()
    assert written.asked == []


def test_a_schema_that_leaves_no_room_for_evidence_is_refused(shelf: Shelf) -> None:
    extractor, _ = _extractor(shelf, lambda *_: "{}")
    assert extractor.refuse(SCHEMA) is None
    long = {**SCHEMA, "description": "x" * LONGEST_SCHEMA}
    assert "9000 at the most" in (extractor.refuse(long) or "")


def test_missing_weights_name_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("promptreel_server.media.process.ffmpeg.locate", lambda *_: PROGRAMS)
    extractors = Extractors(ExtractorOptions(models=tmp_path))
    assert "local" in extractors.known_models()
    with pytest.raises(Unavailable, match="promptreel models pull qwen2-5-coder-0-5b"):
        extractors.extractor("local")


@pytest.fixture
async def real() -> AsyncIterator[LocalExtractor]:
    try:
        made = LocalExtractor(ffmpeg=PROGRAMS, shelf=Shelf())
    except Unavailable as error:
        pytest.skip(error.message)
    yield made
    await made.close()


@pytest.mark.models
@pytest.mark.timeout(400)
async def test_the_grammar_holds_what_the_task_speaks_against(real: LocalExtractor) -> None:
    schema = {
        "type": "object",
        "properties": {
            "score": {"type": "number", "minimum": 0, "maximum": 1},
            "code": {"type": "string", "pattern": "^[A-Z]{3}-[0-9]{2}$"},
            "kind": {"enum": ["alpha", "beta"]},
            "parts": {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2},
        },
        "required": ["score", "code", "kind", "parts"],
    }
    request = extraction_request(
        json_schema=schema,
        prompt_text="The score is 5000, the code hello, the kind gamma, the parts are 1 to 9.",
    )
    extraction = await real.extract(request)
    assert extraction.failure is None
    assert len(extraction.calls) == 1
    assert extraction.calls[0].finish_reason == "stop"
