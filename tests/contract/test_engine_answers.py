"""One answer that can't be carried costs one segment, and its calls stay on record."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from sqlalchemy import text

from promptreel_server.domain.operation import Operation
from promptreel_server.domain.page import Slice
from promptreel_server.domain.run import Run, RunStatus
from promptreel_server.domain.segment import SegmentRun
from promptreel_server.errors import FailureCode
from promptreel_server.extractors.chat.chat import Completion, Messages
from promptreel_server.extractors.chat.prompts import Interview
from promptreel_server.extractors.extractor import Extraction, ExtractionRequest
from promptreel_server.extractors.json_schema.compiled import CompiledSchema
from promptreel_server.services.messages.results import result_message
from promptreel_server.store.database.database import Database
from promptreel_server.store.runs import (
    counter_audit,
    failure_manifest,
    llm_calls,
    run_media,
    run_segments,
)
from promptreel_server.store.runs.llm_calls import CallFilter
from tests.engines import Rig, rig

EVERYTHING = Slice(limit=1000)
DEEP = "[" * 50_000 + "]" * 50_000
NESTED = '{"summary": "x", "more": ' + '{"a": ' * 20 + "1" + "}" * 21
BAD = {
    "half a surrogate pair": '{"summary": "party \\ud83d"}',
    "a number beyond all": '{"summary": "x", "more": 1e400}',
    "an integer beyond all": '{"summary": "x", "more": 1' + "0" * 400 + "}",
    "NUL": '{"summary": "a\\u0000b"}',
    "20 levels": NESTED,
    "50,000 levels": '{"summary": "x", "more": ' + DEEP + "}",
    "100,000 values": '{"summary": "x", "more": [' + "0," * 100_000 + "0]}",
    "no JSON": "\ud83d\x00",
}


class Answering:
    """An extractor like those of providers, whose model answers one segment badly."""

    generation = "1"

    def __init__(self, bad: str, model: str) -> None:
        self.model, self._bad = model, bad
        self._interview = Interview(model=model, most=10_000)

    def refuse(self, json_schema: Any) -> None:
        return None

    def prepare(self, request: ExtractionRequest) -> None:
        return None

    async def extract(self, request: ExtractionRequest) -> Extraction:
        good = '{"summary": "fine"}'
        chat = Said(self._bad if 3 <= request.start < 4 else good)
        return await self._interview.about_segment(chat, request, "")

    async def release(self, run_id: str, video_id: str) -> None:
        return None

    async def close(self) -> None:
        return None


class Said:
    """A chat that says one thing, with counts that no column holds."""

    def __init__(self, said: str) -> None:
        self._said = said

    async def complete(
        self, messages: Messages, schema: CompiledSchema, *, limit_factor: int, attempt: int
    ) -> Completion:
        return Completion(text=self._said, finish_reason="stop\ud83d" * 100, input_tokens=10**30)


@pytest.fixture
async def running(database: Database) -> AsyncIterator[Rig]:
    async with rig(database) as made:
        yield made


async def _listed(running: Rig, run: Run, video_id: str) -> Sequence[SegmentRun]:
    page = await running.database.read(
        lambda c: run_segments.results(c, run.run_id, video_id, EVERYTHING)
    )
    return page.items


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
async def test_an_answer_that_can_not_be_carried_is_invalid_and_the_others_are_readable(
    running: Rig, bad: str
) -> None:
    running.canned.made["canned"] = Answering(bad, "canned")  # type: ignore[assignment]
    video = await running.add(seconds=10)
    run = await running.execute(await running.prompt(), [video], seconds=1)
    ended = await running.ended(run.run_id)
    assert ended.status is RunStatus.COMPLETED_WITH_FAILURES
    assert (ended.completed_segments, ended.failed_segments) == (9, 1)
    media = (await running.database.read(lambda c: run_media.of_run(c, run.run_id)))[0]
    for found in await _listed(running, run, video.video_id):
        result_message(ended, media, found).SerializeToString()
    failures = await running.database.read(
        lambda c: failure_manifest.failed(c, run.run_id, video.video_id, EVERYTHING)
    )
    (failed,) = failures.items
    failure = failed.operations[Operation.FIELD_EXTRACTION].failure
    assert failure is not None
    assert failure.code is FailureCode.SCHEMA_INVALID
    calls = await running.database.read(
        lambda c: llm_calls.page(c, run.run_id, CallFilter(), EVERYTHING)
    )
    assert len(calls.items) == 9 + 2, "the answer and its repair, both paid"
    assert await running.database.read(counter_audit.miscounts) == []


class Breaking(Answering):
    """An extractor whose extraction can't be written, in a way that nobody foresaw."""

    async def extract(self, request: ExtractionRequest) -> Extraction:
        made = await super().extract(request)
        if 3 <= request.start < 4:
            return Extraction(metadata={"summary": object()}, calls=made.calls)
        return made


async def test_whatever_breaks_later_is_contained_to_its_segment(running: Rig) -> None:
    running.canned.made["canned"] = Breaking('{"summary": "fine"}', "canned")  # type: ignore[assignment]
    video = await running.add(seconds=10)
    run = await running.execute(await running.prompt(), [video], seconds=1)
    ended = await running.ended(run.run_id)
    assert (ended.completed_segments, ended.failed_segments) == (9, 1)
    calls = await running.database.read(
        lambda c: llm_calls.page(c, run.run_id, CallFilter(), EVERYTHING)
    )
    assert len(calls.items) == 10, "its call is on record, too"
    failures = await running.database.read(
        lambda c: failure_manifest.failed(c, run.run_id, video.video_id, EVERYTHING)
    )
    assert len(failures.items) == 1
    assert await running.database.read(counter_audit.miscounts) == []


@pytest.mark.parametrize("stored", ['{"a": 1e400}', NESTED, "{not json"])
async def test_a_page_with_a_row_that_can_not_be_shown_shows_the_others_and_names_it(
    running: Rig, stored: str
) -> None:
    if stored == "{not json" and running.database._writing.dialect.name != "sqlite":
        stored = NESTED  # PostgreSQL refuses what is no JSON
    video = await running.add(seconds=5)
    run = await running.execute(await running.prompt(), [video], seconds=1)
    ended = await running.ended(run.run_id)
    await running.database.write(
        lambda tx: tx.execute(
            text("UPDATE run_segments SET metadata = :stored WHERE ordinal = 2"), {"stored": stored}
        )
    )
    media = (await running.database.read(lambda c: run_media.of_run(c, run.run_id)))[0]
    shown = [
        result_message(ended, media, found) for found in await _listed(running, run, video.video_id)
    ]
    assert len(shown) == 5
    assert "can't be shown" in shown[2].processing_warning
    assert not shown[2].metadata
    assert all(one.metadata["summary"] for n, one in enumerate(shown) if n != 2)
