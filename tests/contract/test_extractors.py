"""What every extractor promises, held by each one that runs here."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from promptreel_server.domain.llm_call import LlmCallStatus, Purpose
from promptreel_server.errors import Unavailable
from promptreel_server.extractors.extractor import Extractor
from promptreel_server.extractors.json_schema.compiled import compiled
from promptreel_server.extractors.provider_options import GeminiOptions, OpenAiOptions
from promptreel_server.extractors.registry import ExtractorOptions, Extractors
from tests.stand_ins import gemini as gemini_stand_in
from tests.stand_ins import openai_compatible as openai_stand_in
from tests.stand_ins.gemini import gemini_served
from tests.stand_ins.openai_compatible import openai_served
from tests.unit.extractors.requests import SCHEMA, extraction_request, synthesis_request

LOCAL = pytest.param("local", marks=[pytest.mark.models, pytest.mark.timeout(400)])


@pytest.fixture
async def options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[ExtractorOptions]:
    """Stand-ins for the providers, and a file where the requests say that one is."""
    monkeypatch.chdir(tmp_path)
    extraction_request().path.write_bytes(b"a clip")
    async with gemini_served() as gemini, openai_served(SCHEMA) as endpoint:
        yield ExtractorOptions(
            gemini=GeminiOptions(api_key=gemini_stand_in.KEY, base_url=gemini.url),
            openai=OpenAiOptions(api_key=openai_stand_in.KEY, base_url=endpoint.url),
        )


@pytest.fixture(params=["canned", LOCAL, "gemini-2.5-flash", "openai:any"])
async def extractor(
    request: pytest.FixtureRequest, options: ExtractorOptions
) -> AsyncIterator[Extractor]:
    extractors = Extractors(options)
    try:
        made = extractors.extractor(request.param)
    except Unavailable as error:
        pytest.skip(error.message)
    yield made
    await extractors.close()


async def test_what_is_extracted_is_valid_and_on_record(extractor: Extractor) -> None:
    assert extractor.refuse(SCHEMA) is None
    extraction = await extractor.extract(extraction_request(attempt=2))
    assert extraction.failure is None
    assert compiled(SCHEMA).validate(extraction.metadata) == []
    assert extraction.rendered_prompt_chars > 0
    call = extraction.calls[-1]
    assert call.status is LlmCallStatus.SUCCESS
    assert call.attempt == 2
    assert call.prompt_text
    assert "Say what is seen." in call.prompt_text
    assert json.loads(call.schema_used or "") == SCHEMA
    assert call.input_tokens > 0
    assert call.output_tokens > 0
    assert call.completed_at >= call.invoked_at


async def test_a_synthesis_is_valid_and_on_record(extractor: Extractor) -> None:
    extraction = await extractor.synthesize(synthesis_request(3))
    assert extraction.failure is None
    assert compiled(SCHEMA).validate(extraction.metadata) == []
    assert extraction.calls[-1].purpose is Purpose.VIDEO_SYNTHESIS
    assert extraction.raw_response


async def test_calls_of_many_segments_have_ids_of_their_own(extractor: Extractor) -> None:
    requests = [extraction_request(segment_id=f"seg_{n}", start=n, end=n + 1) for n in range(3)]
    extractions = await asyncio.gather(*map(extractor.extract, requests))
    ids = [call.llm_call_id for extraction in extractions for call in extraction.calls]
    assert len(set(ids)) == len(ids) >= 3


async def test_a_cancelled_attempt_ends_at_once_and_spoils_nothing(extractor: Extractor) -> None:
    task = asyncio.ensure_future(extractor.extract(extraction_request()))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task], timeout=1.0)
    assert task.done()
    assert (await extractor.extract(extraction_request())).failure is None


async def test_release_and_close_may_be_called_twice(extractor: Extractor) -> None:
    for _ in range(2):
        await extractor.release("run_1", "vid_1")
        await extractor.close()
