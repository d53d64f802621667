"""The canned extractor and its scripts."""

import asyncio
import json
import time
from pathlib import Path

import pytest

from promptreel_server.domain.llm_call import LlmCallStatus
from promptreel_server.errors import FailureCode, Invalid, UnknownModel
from promptreel_server.extractors.canned.extractor import CannedExtractor, CannedScript, Fault
from promptreel_server.extractors.registry import ExtractorOptions, Extractors
from tests.unit.extractors.requests import SCHEMA, extraction_request, synthesis_request


async def test_the_same_segment_gets_the_same_answer() -> None:
    extractor = CannedExtractor()
    first = await extractor.extract(extraction_request(start=1.5, end=4))
    again = await extractor.extract(extraction_request(start=1.5, end=4))
    assert first.metadata == again.metadata
    assert first.metadata is not None
    assert first.metadata["summary"] == "A clip 1.500-4.000"


async def test_an_attempt_is_on_record_with_what_was_asked_and_answered() -> None:
    extraction = await CannedExtractor().extract(extraction_request(start=0, end=4))
    (call,) = extraction.calls
    assert call.status is LlmCallStatus.SUCCESS
    assert call.prompt_text
    assert json.loads(call.response_text or "") == extraction.metadata
    assert call.video_seconds == 4


async def test_a_fault_strikes_the_attempts_and_times_it_names() -> None:
    fault = Fault(
        failure_code=FailureCode.RATE_LIMITED,
        retry_after=0.5,
        starts_from=10,
        starts_before=20,
        attempts=(1, 2),
    )
    extractor = CannedExtractor(CannedScript(faults=(fault,)))
    struck = await extractor.extract(extraction_request(start=12, attempt=2))
    assert struck.failure is not None
    assert struck.failure.failure_code is FailureCode.RATE_LIMITED
    assert struck.failure.retry_after == 0.5
    assert struck.calls[0].error_code == "rate_limited"
    for spared in (
        extraction_request(start=12, attempt=3),
        extraction_request(start=9),
        extraction_request(start=20),
    ):
        assert (await extractor.extract(spared)).failure is None


async def test_one_in_n_strikes_about_that_many_and_always_the_same() -> None:
    fault = Fault(failure_code=FailureCode.TIMEOUT, one_in=4)
    extractor = CannedExtractor(CannedScript(faults=(fault,)))
    struck = [
        [
            (await extractor.extract(extraction_request(segment_id=f"seg_{n}"))).failure is not None
            for n in range(400)
        ]
        for _ in range(2)
    ]
    assert struck[0] == struck[1]
    assert 60 < sum(struck[0]) < 140


async def test_syntheses_fail_only_by_faults_meant_for_them() -> None:
    segments = Fault(failure_code=FailureCode.TIMEOUT)
    syntheses = Fault(failure_code=FailureCode.BLOCKED, synthesis=True)
    spared = CannedExtractor(CannedScript(faults=(segments,)))
    assert (await spared.synthesize(synthesis_request())).failure is None
    struck = CannedExtractor(CannedScript(faults=(syntheses,)))
    failure = (await struck.synthesize(synthesis_request())).failure
    assert failure is not None
    assert failure.failure_code is FailureCode.BLOCKED


async def test_latency_passes_without_blocking_the_others() -> None:
    extractor = CannedExtractor(CannedScript(latency_seconds=0.2))
    before = time.monotonic()
    await asyncio.gather(*(extractor.extract(extraction_request()) for _ in range(50)))
    assert 0.2 <= time.monotonic() - before < 2


async def test_an_answer_without_latency_costs_next_to_nothing() -> None:
    extractor, request = CannedExtractor(), extraction_request()
    await extractor.extract(request)
    costs = []
    for _ in range(5):
        before = time.process_time()
        for _ in range(500):
            await extractor.extract(request)
        costs.append((time.process_time() - before) / 500)
    assert min(costs) < 100e-6


async def _serve(answers: list[bytes], seen: list[dict[str, object]]) -> asyncio.Server:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = int(head.lower().split("content-length: ")[1].split("\r\n")[0])
        seen.append(json.loads(await reader.readexactly(length)))
        writer.write(answers.pop(0))
        writer.close()

    return await asyncio.start_server(answer, "127.0.0.1", 0)


async def test_a_stand_in_witnesses_every_attempt_and_its_refusals_are_failures() -> None:
    seen: list[dict[str, object]] = []
    answers = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 429 No\r\nRetry-After: 3\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nbroken off",
        b"gibberish",
    ]
    server = await _serve(answers, seen)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/answered"
        extractor = CannedExtractor(CannedScript(stand_in_url=url))
        outcomes = [
            (await extractor.extract(extraction_request(attempt=attempt))).failure
            for attempt in range(1, 7)
        ]
    assert [failure and failure.failure_code for failure in outcomes] == [
        None,
        FailureCode.RATE_LIMITED,
        FailureCode.MODEL_UNAVAILABLE,
        FailureCode.INVALID_REQUEST,
        FailureCode.MODEL_UNAVAILABLE,
        FailureCode.MODEL_UNAVAILABLE,
    ]
    assert outcomes[1] is not None
    assert outcomes[1].retry_after == 3
    assert [attempt["attempt"] for attempt in seen] == [1, 2, 3, 4, 5, 6]


async def test_a_stand_in_that_is_gone_makes_the_model_unavailable() -> None:
    server = await _serve([], [])
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    server.close()
    await server.wait_closed()
    failure = (
        await CannedExtractor(CannedScript(stand_in_url=url)).extract(extraction_request())
    ).failure
    assert failure is not None
    assert failure.failure_code is FailureCode.MODEL_UNAVAILABLE


def test_a_schema_without_a_possible_sample_is_refused() -> None:
    hard = {"type": "object", "properties": {"a": {"type": "string", "pattern": "^Q[xyz]{7}$"}}}
    assert "no sample" in (CannedExtractor().refuse(hard) or "")
    assert CannedExtractor().refuse(SCHEMA) is None


def _extractors(tmp_path: Path, written: object) -> Extractors:
    scripts = tmp_path / "scripts.json"
    scripts.write_text(json.dumps(written))
    return Extractors(ExtractorOptions(canned_scripts=scripts))


async def test_scripts_are_chosen_by_name(tmp_path: Path) -> None:
    fault = {"failure_code": "timeout", "attempts": [1]}
    extractors = _extractors(tmp_path, {"faulty": {"faults": [fault]}})
    assert (await extractors.extractor("canned").extract(extraction_request())).failure is None
    faulty = extractors.extractor("canned:faulty")
    assert (await faulty.extract(extraction_request())).failure is not None
    assert (await faulty.extract(extraction_request(attempt=2))).failure is None
    assert extractors.extractor("canned:faulty") is faulty
    await extractors.close()


@pytest.mark.parametrize("name", ["canned:none", "canned:../x", "gpt", "", "cannedx", "Canned"])
def test_an_unknown_model_is_named_with_the_known_ones(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnknownModel, match="canned"):
        _extractors(tmp_path, {}).extractor(name)


@pytest.mark.parametrize(
    "written",
    [
        [],
        {"a": 1},
        {"a": {"latency": 1}},
        {"a": {"faults": [{}]}},
        {"a": {"faults": [{"failure_code": "x"}]}},
    ],
)
def test_scripts_that_mean_nothing_are_refused(tmp_path: Path, written: object) -> None:
    with pytest.raises(Invalid, match=r"scripts\.json"):
        _extractors(tmp_path, written).extractor("canned")
