"""Runs through the engine over a stand-in Gemini: what faults come to, and what they cost."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from promptreel_server.domain.llm_call import LlmCall
from promptreel_server.domain.operation import Operation, OperationStatus
from promptreel_server.domain.page import Slice
from promptreel_server.domain.run import Run, RunStatus
from promptreel_server.domain.segment import SegmentRun
from promptreel_server.engine.admission import retry_orders
from promptreel_server.engine.admission.retry_orders import RetryOrder
from promptreel_server.engine.model_calls.retry_policy import AttemptPolicy
from promptreel_server.errors import FailureCode
from promptreel_server.extractors.gemini.extractor import GeminiExtractor
from promptreel_server.extractors.provider_options import GeminiOptions
from promptreel_server.store.database.database import Database
from promptreel_server.store.runs import llm_calls, run_segments
from promptreel_server.store.runs.llm_calls import CallFilter
from tests import engines, footage
from tests.engines import OWNER, Rig, rig
from tests.stand_ins import gemini as said
from tests.stand_ins.gemini import KEY, StandInGemini, gemini_served

LARGE = 9_000_000
EVERYTHING = Slice(limit=1000)


@pytest.fixture
async def gemini() -> AsyncIterator[StandInGemini]:
    async with gemini_served() as stand_in:
        yield stand_in


@pytest.fixture
async def running(
    database: Database,
    gemini: StandInGemini,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Rig]:
    """An engine whose only model is Gemini and whose every medium is one large file."""
    path = tmp_path / "medium"
    path.write_bytes(b"\1" * LARGE)
    monkeypatch.setattr(engines.Somewhere, "path", lambda _self, _sha256: path)
    extractor = _extractor(gemini)
    async with rig(database, policy=AttemptPolicy(shortest_pause=0.01, longest_pause=2.0)) as made:
        made.canned.made["canned"] = extractor
        yield made
    await extractor.close()


def _extractor(
    gemini: StandInGemini, key: str = KEY, *, call_seconds: float = 3.0
) -> GeminiExtractor:
    options = GeminiOptions(api_key=key, base_url=gemini.url, call_seconds=call_seconds)
    return GeminiExtractor("gemini-2.5-flash", options=options, ffmpeg=footage.programs())


async def _calls(made: Rig, run: Run) -> list[LlmCall]:
    page = await made.database.read(
        lambda c: llm_calls.page(c, run.run_id, CallFilter(), EVERYTHING)
    )
    return sorted((found.call for found in page.items), key=lambda call: call.llm_call_id)


async def _until(look: Callable[[], bool]) -> None:
    """Wait for what the stand-in rings no bell for."""
    async with asyncio.timeout(30):
        while not look():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def _segment(made: Rig, run: Run, video_id: str) -> SegmentRun:
    page = await made.database.read(
        lambda c: run_segments.results(c, run.run_id, video_id, EVERYTHING)
    )
    (found,) = page.items
    return found


async def test_the_bytes_of_a_medium_travel_once_in_a_run_of_200_segments(
    running: Rig, gemini: StandInGemini
) -> None:
    video = await running.add(seconds=400)
    run = await running.execute(await running.prompt(), [video], seconds=2)
    ended = await running.ended(run.run_id)
    assert (ended.status, ended.completed_segments) == (RunStatus.COMPLETED, 200)
    assert len(gemini.asked) == len(await _calls(running, run)) == 200
    assert (gemini.uploaded_bytes, gemini.inline_bytes) == (LARGE, 0)
    await _until(lambda: gemini.files == {})
    assert len(gemini.deleted) == 1


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a run of one segment comes to: `codes` are those of its calls, None for success."""

    attempts: int
    codes: list[str | None]
    failure: FailureCode | None = None
    retryable: bool = False
    halved: bool = False
    """Whether the window of the lane shrank."""


AGAIN_UNAVAILABLE = Outcome(attempts=2, codes=["model_unavailable", None], halved=True)
ONCE: dict[str, tuple[said.Fault, Outcome]] = {
    "429 with RetryInfo": (
        said.failing(429, "RESOURCE_EXHAUSTED", said.retry_info(0.3)),
        Outcome(attempts=2, codes=["rate_limited", None], halved=True),
    ),
    "429 with Retry-After": (
        said.failing(429, "RESOURCE_EXHAUSTED", retry_after="0.3"),
        Outcome(attempts=2, codes=["rate_limited", None], halved=True),
    ),
    "429 with a pause beyond patience": (
        said.failing(429, "RESOURCE_EXHAUSTED", said.retry_info(3)),
        Outcome(
            attempts=1,
            codes=["rate_limited"],
            failure=FailureCode.RATE_LIMITED,
            retryable=True,
            halved=True,
        ),
    ),
    "the quota of the day": (
        said.failing(429, "RESOURCE_EXHAUSTED", said.quota("RequestsPerDay")),
        Outcome(
            attempts=1,
            codes=["quota_exhausted"],
            failure=FailureCode.QUOTA_EXHAUSTED,
            retryable=True,
        ),
    ),
    "500": (said.failing(500, "INTERNAL"), AGAIN_UNAVAILABLE),
    "503 overloaded": (said.failing(503, "UNAVAILABLE"), AGAIN_UNAVAILABLE),
    "a reset": (said.reset, AGAIN_UNAVAILABLE),
    "502 in HTML": (said.html(502), AGAIN_UNAVAILABLE),
    "no candidates": (said.no_candidates, AGAIN_UNAVAILABLE),
    "no answer in time": (
        said.late(9.0),
        Outcome(attempts=2, codes=["timeout", None], halved=True),
    ),
    "a slow answer": (said.late(1.0), Outcome(attempts=1, codes=[None])),
    "a blocked prompt": (
        said.blocked_prompt,
        Outcome(attempts=1, codes=["blocked"], failure=FailureCode.BLOCKED),
    ),
    "recitation": (
        said.ended("RECITATION", ""),
        Outcome(attempts=1, codes=["blocked"], failure=FailureCode.BLOCKED),
    ),
    "MAX_TOKENS": (
        said.ended("MAX_TOKENS", '{"summ'),
        Outcome(attempts=2, codes=["output_truncated", None]),
    ),
    "truncated JSON": (said.halved, Outcome(attempts=1, codes=["schema_invalid", None])),
    "JSON that breaks the schema": (
        said.ended("STOP", '{"summary": 3}'),
        Outcome(attempts=1, codes=["schema_invalid", None]),
    ),
    "an expired file": (said.expired, Outcome(attempts=2, codes=["media_unavailable", None])),
}


def _lasting(
    code: FailureCode, *, calls: int, attempts: int, retryable: bool = True, halved: bool = False
) -> Outcome:
    """What a fault that stays comes to: so many calls, each with its code, and then the failure."""
    return Outcome(
        attempts=attempts,
        codes=[code.value] * calls,
        failure=code,
        retryable=retryable,
        halved=halved,
    )


STAYS_UNAVAILABLE = _lasting(FailureCode.MODEL_UNAVAILABLE, calls=4, attempts=4, halved=True)
STAYS_LIMITED = _lasting(FailureCode.RATE_LIMITED, calls=4, attempts=4, halved=True)
STAYS_INVALID = _lasting(FailureCode.SCHEMA_INVALID, calls=2, attempts=1)
STAYS_BLOCKED = _lasting(FailureCode.BLOCKED, calls=1, attempts=1, retryable=False)
ALWAYS: dict[str, tuple[said.Fault, Outcome]] = {
    "429 with RetryInfo": (
        said.failing(429, "RESOURCE_EXHAUSTED", said.retry_info(0.1)),
        STAYS_LIMITED,
    ),
    "429 with Retry-After": (
        said.failing(429, "RESOURCE_EXHAUSTED", retry_after="0.1"),
        STAYS_LIMITED,
    ),
    "the quota of the day": (
        said.failing(429, "RESOURCE_EXHAUSTED", said.quota("RequestsPerDay")),
        _lasting(FailureCode.QUOTA_EXHAUSTED, calls=1, attempts=1),
    ),
    "500": (said.failing(500, "INTERNAL"), STAYS_UNAVAILABLE),
    "503 overloaded": (said.failing(503, "UNAVAILABLE"), STAYS_UNAVAILABLE),
    "a reset": (said.reset, STAYS_UNAVAILABLE),
    "502 in HTML": (said.html(502), STAYS_UNAVAILABLE),
    "no candidates": (said.no_candidates, STAYS_UNAVAILABLE),
    "a blocked prompt": (said.blocked_prompt, STAYS_BLOCKED),
    "recitation": (said.ended("RECITATION", ""), STAYS_BLOCKED),
    "MAX_TOKENS": (
        said.ended("MAX_TOKENS", '{"summ'),
        _lasting(FailureCode.OUTPUT_TRUNCATED, calls=2, attempts=2),
    ),
    "truncated JSON": (said.halved, STAYS_INVALID),
    "JSON that breaks the schema": (said.ended("STOP", '{"summary": 3}'), STAYS_INVALID),
    "a file that expires again and again": (
        said.expired,
        _lasting(FailureCode.MEDIA_UNAVAILABLE, calls=4, attempts=4),
    ),
}


@pytest.mark.parametrize("fault", ONCE)
async def test_a_fault_that_passes_costs_what_it_must(
    fault: str, running: Rig, gemini: StandInGemini
) -> None:
    make, outcome = ONCE[fault]
    gemini.faults = [make]
    await _see(outcome, running)


@pytest.mark.parametrize("fault", ALWAYS)
async def test_a_fault_that_stays_ends_in_a_failure(
    fault: str, running: Rig, gemini: StandInGemini
) -> None:
    gemini.always, outcome = ALWAYS[fault]
    await _see(outcome, running)


async def test_a_model_that_never_answers_in_time_ends_in_a_failure(
    running: Rig, gemini: StandInGemini
) -> None:
    gemini.always = said.late(9.0)
    impatient = _extractor(gemini, call_seconds=1.0)
    running.canned.made["canned"] = impatient
    await _see(_lasting(FailureCode.TIMEOUT, calls=4, attempts=4, halved=True), running)
    await impatient.close()


async def test_answers_that_are_all_slow_are_waited_for(
    running: Rig, gemini: StandInGemini
) -> None:
    gemini.always = said.late(0.5)
    run = await running.execute(await running.prompt(), [await running.add(seconds=60)])
    ended = await running.ended(run.run_id)
    assert (ended.status, ended.completed_segments) == (RunStatus.COMPLETED, 6)
    assert [call.error_code for call in await _calls(running, run)] == [None] * 6


async def _see(outcome: Outcome, running: Rig) -> None:
    lane = running.means.lanes.lane("canned")
    window = lane.window
    video = await running.add(seconds=10)
    run = await running.execute(await running.prompt(), [video])
    ended = await running.ended(run.run_id)
    calls = await _calls(running, run)
    found = await _segment(running, run, video.video_id)
    state = found.operations[Operation.FIELD_EXTRACTION]
    assert [call.error_code for call in calls] == outcome.codes
    assert state.attempts == outcome.attempts
    assert (lane.window < window) is outcome.halved
    assert KEY not in repr(calls)
    assert ended.status is (RunStatus.FAILED if outcome.failure else RunStatus.COMPLETED)
    if outcome.failure is None:
        assert state.status is OperationStatus.SUCCEEDED
        assert found.metadata == {"summary": "", "people": 0}
        return
    assert found.metadata is None
    assert state.failure is not None
    assert state.failure.code is outcome.failure
    assert state.failure.retryable is outcome.retryable


async def test_after_a_truncated_answer_the_next_attempt_has_twice_the_room(
    running: Rig, gemini: StandInGemini
) -> None:
    gemini.faults = [said.ended("MAX_TOKENS", "{")]
    run = await running.execute(await running.prompt(), [await running.add(seconds=10)])
    await running.ended(run.run_id)
    limits = [asked["generationConfig"]["maxOutputTokens"] for asked in gemini.asked]
    assert limits == [8192, 16384]


async def test_a_pause_that_gemini_asks_for_holds_up_the_whole_lane(
    running: Rig, gemini: StandInGemini
) -> None:
    gemini.faults = [said.failing(429, "RESOURCE_EXHAUSTED", said.retry_info(1.5))]
    run = await running.execute(await running.prompt(), [await running.add(seconds=120)], seconds=2)
    ended = await running.ended(run.run_id)
    assert ended.status is RunStatus.COMPLETED
    assert len(gemini.asked) == 61
    longest = max(later - earlier for earlier, later in pairwise(gemini.asked_at))
    assert longest > 1.0
    in_flight = [at for at in gemini.asked_at if at < gemini.asked_at[0] + 1.0]
    assert len(in_flight) <= 32, "the lane did not stop"


async def test_an_upload_holds_up_nobody_elses_calls(
    running: Rig, gemini: StandInGemini, database: Database
) -> None:
    lane = running.means.lanes.lane("canned")
    gemini.looks_until_active = 3  # a second or two of processing
    run = await running.execute(await running.prompt(), [await running.add(seconds=400)])
    await _until(lambda: gemini.uploads > 0)
    async with asyncio.timeout(0.5), lane.place("somebody else"):
        assert gemini.asked == []
    assert (await running.ended(run.run_id)).status is RunStatus.COMPLETED


async def test_cancelling_a_run_ends_its_upload_at_once(
    running: Rig, gemini: StandInGemini, database: Database
) -> None:
    gemini.looks_until_active = 1_000_000
    run = await running.execute(await running.prompt(), [await running.add(seconds=40)])
    await _until(lambda: gemini.uploads > 0)
    fresh = await running.run(run.run_id)
    await database.write(lambda tx: running.engine.request_stop(tx, fresh, "key_test"))
    running.engine.stop(run.run_id)
    ended = await running.ended(run.run_id)
    assert ended.status is RunStatus.CANCELLED
    assert gemini.asked == []


async def test_a_refused_key_ends_a_run_after_a_few_calls(
    running: Rig, gemini: StandInGemini
) -> None:
    wrong = _extractor(gemini, key="AIza-revoked")
    running.canned.made["canned"] = wrong
    run = await running.execute(await running.prompt(), [await running.add(seconds=400)], seconds=2)
    ended = await running.ended(run.run_id)
    await wrong.close()
    assert ended.status is RunStatus.FAILED
    assert "API key not valid: (key)" in (ended.error_message or "")
    assert gemini.asked == []


async def test_the_same_run_again_asks_nothing_and_uploads_nothing(
    running: Rig, gemini: StandInGemini
) -> None:
    prompt, video = await running.prompt(), await running.add(seconds=30)
    for _ in range(2):
        run = await running.execute(prompt, [video])
        assert (await running.ended(run.run_id)).status is RunStatus.COMPLETED
    assert (len(gemini.asked), gemini.uploads) == (3, 1)
    assert {call.cached for call in await _calls(running, run)} == {True}


async def test_retries_share_one_upload_and_the_last_of_them_deletes_it(
    running: Rig, gemini: StandInGemini, database: Database
) -> None:
    gemini.always = said.blocked_prompt
    video = await running.add(seconds=40)
    run = await running.execute(await running.prompt(), [video])
    await running.ended(run.run_id)
    await _until(lambda: gemini.files == {})
    assert gemini.uploads == 1
    gemini.always = None
    ended = await running.run(run.run_id)
    order = RetryOrder(owner_id=OWNER, video_id="", segment_id="", force=True)
    made, _ = await database.write(lambda tx: retry_orders.retry_failed(tx, ended, (), order))
    await running.engine.retry(made)
    await _until(lambda: len(gemini.asked) == 8 and gemini.files == {})
    mended = await running.run(run.run_id)
    assert (len(made), mended.status) == (4, RunStatus.COMPLETED)
    assert gemini.uploads <= 3
    assert len(gemini.deleted) == gemini.uploads


async def test_a_synthesis_follows_the_segments(running: Rig, gemini: StandInGemini) -> None:
    prompt = await running.prompt(video_level=True)
    run = await running.execute(prompt, [await running.add(seconds=30)])
    assert (await running.ended(run.run_id)).status is RunStatus.COMPLETED
    assert len(gemini.asked) == 4
    assert len(await _calls(running, run)) == 4
