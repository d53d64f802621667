"""The Gemini extractor over a stand-in that speaks its protocol: media, answers, failures."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from promptreel_server.domain.llm_call import LlmCallStatus, Purpose
from promptreel_server.domain.media import MediaType
from promptreel_server.domain.segment import Transcript
from promptreel_server.errors import FailureCode, Unavailable, UnknownModel
from promptreel_server.extractors.chat.untrusted import fenced, quoted
from promptreel_server.extractors.extractor import ExtractionRequest
from promptreel_server.extractors.gemini.extractor import GeminiExtractor
from promptreel_server.extractors.provider_options import GeminiOptions
from promptreel_server.extractors.registry import ExtractorOptions, Extractors
from tests import footage
from tests.stand_ins import gemini as said
from tests.stand_ins.gemini import KEY, StandInGemini, gemini_served
from tests.unit.extractors.requests import FACTS, extraction_request, synthesis_request

LARGE = 9_000_000
"""Two pieces of an upload."""


@pytest.fixture
async def gemini() -> AsyncIterator[StandInGemini]:
    async with gemini_served() as stand_in:
        yield stand_in


@pytest.fixture
async def extractor(gemini: StandInGemini) -> AsyncIterator[GeminiExtractor]:
    made = GeminiExtractor(
        "gemini-2.5-flash",
        options=GeminiOptions(api_key=KEY, base_url=gemini.url, call_seconds=2.0),
        ffmpeg=footage.programs(),
    )
    yield made
    await made.close()


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "0123abc"
    path.write_bytes(b"\1" * LARGE)
    return path


def of(path: Path, number: int = 0, **changes: Any) -> ExtractionRequest:
    start = 5.0 * number
    made = extraction_request(segment_id=f"seg_{number}", path=path, start=start, end=start + 5)
    return replace(made, **changes)


async def test_a_segment_is_asked_about_by_offsets_into_the_upload(
    gemini: StandInGemini, extractor: GeminiExtractor, large: Path
) -> None:
    facts = replace(FACTS, start=Fraction(-3, 2), container="mov,mp4,m4a,3gp,3g2,mj2")
    extraction = await extractor.extract(of(large, start=8.5, end=13.25, facts=facts))
    assert extraction.failure is None
    media, words = gemini.parts()
    assert media["fileData"]["mimeType"] == "video/mp4"
    assert media["videoMetadata"] == {
        "startOffset": "10.000s",
        "endOffset": "14.750s",
        "fps": 1.0,
    }
    assert "Seconds 10.0 to 14.8 of a video" in words["text"]
    assert "Task: Say what is seen." in words["text"]


async def test_a_call_keeps_apart_what_was_thought_cached_and_heard(
    extractor: GeminiExtractor, large: Path
) -> None:
    (call,) = (await extractor.extract(of(large))).calls
    assert (call.input_tokens, call.cached_tokens, call.audio_tokens) == (1300, 1000, 125)
    assert (call.output_tokens, call.thinking_tokens, call.total_tokens) == (65, 25, 1365)
    assert call.finish_reason == "stop"
    assert call.video_seconds == 5.0


async def test_the_bytes_of_a_medium_travel_once_for_200_segments(
    gemini: StandInGemini, extractor: GeminiExtractor, large: Path
) -> None:
    made = await asyncio.gather(*(extractor.extract(of(large, n)) for n in range(200)))
    assert [extraction.failure for extraction in made] == [None] * 200
    assert len(gemini.asked) == 200
    assert gemini.uploaded_bytes == LARGE
    assert gemini.inline_bytes == 0
    offsets = {
        asked["contents"][0]["parts"][0]["videoMetadata"]["startOffset"] for asked in gemini.asked
    }
    assert len(offsets) == 200


async def test_an_upload_is_deleted_with_its_run_and_only_once(
    gemini: StandInGemini, extractor: GeminiExtractor, large: Path
) -> None:
    await extractor.extract(of(large))
    await extractor.extract(of(large, run_id="run_2"))
    assert gemini.uploads == 2
    for _ in range(2):
        await extractor.release("run_1", "vid_1")
    assert len(gemini.deleted) == 1
    assert len(gemini.files) == 1


async def test_an_upload_that_is_asked_about_is_deleted_when_the_answer_is_there(
    gemini: StandInGemini, extractor: GeminiExtractor, large: Path
) -> None:
    gemini.faults = [said.late(1.5)]
    asking = asyncio.ensure_future(extractor.extract(of(large)))
    await asyncio.wait([asking], timeout=1.0)  # by now it waits for the answer
    assert len(gemini.asked) == 1
    await extractor.release("run_1", "vid_1")
    assert gemini.deleted == []
    assert (await asking).failure is None
    assert len(gemini.deleted) == 1


async def test_closing_deletes_what_is_still_uploaded(
    gemini: StandInGemini, extractor: GeminiExtractor, large: Path
) -> None:
    await extractor.extract(of(large))
    await extractor.close()
    assert gemini.files == {}


async def test_an_upload_that_is_gone_is_made_anew_once_for_all(
    gemini: StandInGemini, extractor: GeminiExtractor, large: Path
) -> None:
    await extractor.extract(of(large))
    gemini.files.clear()
    lost = await asyncio.gather(*(extractor.extract(of(large, n)) for n in range(8)))
    failures = [extraction.failure for extraction in lost]
    assert {failure and failure.failure_code for failure in failures} == {
        FailureCode.MEDIA_UNAVAILABLE
    }
    assert {failure and failure.retry_after for failure in failures} == {0.0}
    again = await asyncio.gather(*(extractor.extract(of(large, n)) for n in range(8)))
    assert [extraction.failure for extraction in again] == [None] * 8
    assert gemini.uploads == 2


async def test_an_upload_that_will_expire_soon_is_made_anew_beforehand(
    gemini: StandInGemini, extractor: GeminiExtractor, large: Path
) -> None:
    gemini.lasts = timedelta(minutes=5)
    assert (await extractor.extract(of(large))).failure is None
    assert (await extractor.extract(of(large))).failure is None
    assert gemini.uploads == 2


async def test_an_upload_that_never_stays_is_given_up(
    gemini: StandInGemini, extractor: GeminiExtractor, large: Path
) -> None:
    gemini.always = said.expired
    codes = []
    for _ in range(8):
        failure = (await extractor.extract(of(large))).failure
        codes.append(failure and failure.failure_code)
    assert codes[-1] is FailureCode.INVALID_REQUEST
    assert gemini.uploads == 4


async def test_a_file_that_a_dead_process_left_is_taken_up(
    gemini: StandInGemini, extractor: GeminiExtractor, large: Path
) -> None:
    await extractor.extract(of(large))
    options = GeminiOptions(api_key=KEY, base_url=gemini.url)
    other = GeminiExtractor("gemini-2.5-flash", options=options, ffmpeg=footage.programs())
    assert (await other.extract(of(large, 1))).failure is None
    assert gemini.uploaded_bytes == LARGE
    await other.close()


async def test_a_file_that_gemini_can_not_read_fails_every_segment_without_a_second_upload(
    gemini: StandInGemini, extractor: GeminiExtractor, large: Path
) -> None:
    gemini.fails_processing = True
    made = [await extractor.extract(of(large, n)) for n in range(3)]
    assert {extraction.failure and extraction.failure.failure_code for extraction in made} == {
        FailureCode.MEDIA_UNREADABLE
    }
    assert "bad codec" in str(made[0].failure)
    assert gemini.uploads == 1
    assert gemini.asked == []


async def test_segments_that_wait_for_an_upload_share_its_failure(
    gemini: StandInGemini, extractor: GeminiExtractor, large: Path
) -> None:
    gemini.upload_faults = [said.reset(gemini, {}), said.reset(gemini, {})]
    made = await asyncio.gather(*(extractor.extract(of(large, n)) for n in range(5)))
    assert {extraction.failure and extraction.failure.failure_code for extraction in made} == {
        FailureCode.MODEL_UNAVAILABLE
    }
    assert len(gemini.upload_faults) == 1
    gemini.upload_faults.clear()
    assert (await extractor.extract(of(large))).failure is None


async def test_a_small_video_comes_with_the_request(
    gemini: StandInGemini, extractor: GeminiExtractor, tmp_path: Path
) -> None:
    small = tmp_path / "small"
    small.write_bytes(b"\2" * 1000)
    assert (await extractor.extract(of(small, 1))).failure is None
    assert (gemini.inline_bytes, gemini.uploads) == (1000, 0)
    assert gemini.parts()[0]["videoMetadata"]["startOffset"] == "5.000s"


async def test_sound_comes_as_the_stretch_that_is_asked_about(
    gemini: StandInGemini, extractor: GeminiExtractor
) -> None:
    clip = footage.shots(4.0, 4.0)
    facts = replace(
        FACTS, media_type=MediaType.AUDIO, duration=Fraction(8), audio_stream=1, container="mp3"
    )
    said_there = Transcript(text="Good evening.", language="en", words=())
    request = of(clip.path, facts=facts, start=1.0, end=3.0, transcript=said_there)
    assert (await extractor.extract(request)).failure is None
    media, words = gemini.parts()
    assert media["inlineData"]["mimeType"] == "audio/flac"
    assert 1_000 < gemini.inline_bytes < 64_000
    assert "videoMetadata" not in media
    said = fenced(quoted("Good evening."))
    assert f"Transcript of the segment:\n{said}" in words["text"]


async def test_an_image_comes_as_a_jpeg(gemini: StandInGemini, extractor: GeminiExtractor) -> None:
    picture = footage.still()
    facts = replace(
        FACTS,
        media_type=MediaType.IMAGE,
        container="png_pipe",
        duration=Fraction(0),
        video_stream=0,
    )
    request = of(picture.path, facts=facts, start=0.0, end=0.0)
    assert (await extractor.extract(request)).failure is None
    media, words = gemini.parts()
    assert media["inlineData"]["mimeType"] == "image/jpeg"
    assert words["text"].startswith('An image called "A clip". It is attached.')


async def test_only_what_will_be_uploaded_is_prepared(
    gemini: StandInGemini, extractor: GeminiExtractor, large: Path
) -> None:
    small = large.with_name("small")
    small.write_bytes(b"\5")
    for path in (small, large):
        preparing = extractor.prepare(of(path))
        assert preparing is not None
        await preparing
    assert gemini.uploads == 1
    assert extractor.prepare(of(large, 1)) is None
    assert (await extractor.extract(of(large, 1))).failure is None
    assert gemini.uploads == 1


async def test_a_video_in_a_container_of_its_own_is_shown_by_frames(
    gemini: StandInGemini, extractor: GeminiExtractor
) -> None:
    clip = footage.shots(4.0, 4.0)
    facts = replace(FACTS, duration=Fraction(8), video_stream=0, container="ogg")
    assert (await extractor.extract(of(clip.path, facts=facts))).failure is None
    *frames, words = gemini.parts()
    assert 1 < len(frames) <= 8
    assert {frame["inlineData"]["mimeType"] for frame in frames} == {"image/jpeg"}
    assert "Frames of it at seconds" in words["text"]


async def test_a_file_that_is_not_there_is_unavailable(extractor: GeminiExtractor) -> None:
    failure = (await extractor.extract(of(Path("/nowhere/at/all")))).failure
    assert failure is not None
    assert failure.failure_code is FailureCode.MEDIA_UNAVAILABLE


FAULTS: dict[str, tuple[said.Fault, FailureCode, float | None, LlmCallStatus]] = {
    "429 with RetryInfo": (
        said.failing(429, "RESOURCE_EXHAUSTED", said.retry_info(7.5)),
        FailureCode.RATE_LIMITED,
        7.5,
        LlmCallStatus.ERROR,
    ),
    "429 with Retry-After": (
        said.failing(429, "RESOURCE_EXHAUSTED", retry_after="4"),
        FailureCode.RATE_LIMITED,
        4.0,
        LlmCallStatus.ERROR,
    ),
    "the quota of the day": (
        said.failing(
            429,
            "RESOURCE_EXHAUSTED",
            said.quota("GenerateRequestsPerDayPerProjectPerModel-FreeTier"),
            said.retry_info(30),
        ),
        FailureCode.QUOTA_EXHAUSTED,
        30.0,
        LlmCallStatus.ERROR,
    ),
    "500": (
        said.failing(500, "INTERNAL"),
        FailureCode.MODEL_UNAVAILABLE,
        None,
        LlmCallStatus.ERROR,
    ),
    "503 overloaded": (
        said.failing(503, "UNAVAILABLE"),
        FailureCode.MODEL_UNAVAILABLE,
        None,
        LlmCallStatus.ERROR,
    ),
    "504": (
        said.failing(504, "DEADLINE_EXCEEDED"),
        FailureCode.TIMEOUT,
        None,
        LlmCallStatus.ERROR,
    ),
    "no answer in time": (said.late(9.0), FailureCode.TIMEOUT, None, LlmCallStatus.ERROR),
    "a reset": (said.reset, FailureCode.MODEL_UNAVAILABLE, None, LlmCallStatus.ERROR),
    "502 in HTML": (said.html(502), FailureCode.MODEL_UNAVAILABLE, None, LlmCallStatus.ERROR),
    "200 in HTML": (said.html(200), FailureCode.MODEL_UNAVAILABLE, None, LlmCallStatus.ERROR),
    "a blocked prompt": (
        said.blocked_prompt,
        FailureCode.BLOCKED,
        None,
        LlmCallStatus.BLOCKED,
    ),
    "a blocked answer": (
        said.ended("SAFETY", ""),
        FailureCode.BLOCKED,
        None,
        LlmCallStatus.BLOCKED,
    ),
    "recitation": (
        said.ended("RECITATION", ""),
        FailureCode.BLOCKED,
        None,
        LlmCallStatus.BLOCKED,
    ),
    "no candidates": (
        said.no_candidates,
        FailureCode.MODEL_UNAVAILABLE,
        None,
        LlmCallStatus.ERROR,
    ),
    "nothing in the candidate": (
        said.ended("STOP", ""),
        FailureCode.MODEL_UNAVAILABLE,
        None,
        LlmCallStatus.ERROR,
    ),
    "MAX_TOKENS": (
        said.ended("MAX_TOKENS", '{"summ'),
        FailureCode.OUTPUT_TRUNCATED,
        None,
        LlmCallStatus.ERROR,
    ),
    "a model that is not there": (
        said.failing(404, "NOT_FOUND"),
        FailureCode.INVALID_REQUEST,
        None,
        LlmCallStatus.ERROR,
    ),
    "a refused key": (
        said.failing(403, "PERMISSION_DENIED"),
        FailureCode.INVALID_REQUEST,
        None,
        LlmCallStatus.ERROR,
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_what_goes_wrong_is_told_apart_and_on_record(
    fault: str, gemini: StandInGemini, extractor: GeminiExtractor, tmp_path: Path
) -> None:
    make, code, pause, status = FAULTS[fault]
    small = tmp_path / "small"
    small.write_bytes(b"\3")
    gemini.always = make
    extraction = await extractor.extract(of(small))
    failure = extraction.failure
    assert failure is not None
    assert (failure.failure_code, failure.retry_after) == (code, pause)
    assert extraction.metadata is None
    (call,) = extraction.calls
    assert (call.status, call.error_code) == (status, code.value)
    assert "<html" not in failure.message
    assert len(gemini.asked) == 1


@pytest.mark.parametrize(
    "wrong", [said.halved, said.ended("STOP", '{"summary": 7}'), said.ended("STOP", "[]")]
)
async def test_a_wrong_answer_is_repaired_once_with_the_medium_before_the_model(
    wrong: said.Fault, gemini: StandInGemini, extractor: GeminiExtractor, large: Path
) -> None:
    gemini.faults = [wrong]
    extraction = await extractor.extract(of(large))
    assert extraction.failure is None
    first, repair = extraction.calls
    assert (first.error_code, repair.purpose) == ("schema_invalid", Purpose.REPAIR)
    asked, answered, corrected = gemini.asked[-1]["contents"]
    assert "fileData" in asked["parts"][0]
    assert (answered["role"], corrected["role"]) == ("model", "user")
    assert "is not valid" in corrected["parts"][0]["text"]


async def test_a_second_wrong_answer_is_schema_invalid(
    gemini: StandInGemini, extractor: GeminiExtractor, large: Path
) -> None:
    gemini.always = said.halved
    extraction = await extractor.extract(of(large))
    assert extraction.failure is not None
    assert extraction.failure.failure_code is FailureCode.SCHEMA_INVALID
    assert len(extraction.calls) == len(gemini.asked) == 2


async def test_after_a_truncated_answer_there_is_more_room(
    gemini: StandInGemini, extractor: GeminiExtractor, large: Path
) -> None:
    for factor in (1, 2, 16):
        await extractor.extract(of(large, output_limit_factor=factor))
    limits = [asked["generationConfig"]["maxOutputTokens"] for asked in gemini.asked]
    assert limits == [8192, 16384, 65536]


async def test_a_schema_that_gemini_refuses_is_spelled_out_instead(
    gemini: StandInGemini, extractor: GeminiExtractor, large: Path
) -> None:
    too_much = said.error(400, "INVALID_ARGUMENT", "The schema has too many states for serving.")
    gemini.faults = [lambda _gemini, _good: too_much]
    request = of(large)
    assert (await extractor.extract(request)).failure is None
    assert (await extractor.extract(request)).failure is None
    assert "responseJsonSchema" in gemini.asked[0]["generationConfig"]
    for asked in gemini.asked[1:]:
        assert "responseJsonSchema" not in asked["generationConfig"]
        assert '"mood"' in asked["systemInstruction"]["parts"][0]["text"]
    assert len(gemini.asked) == 3


async def test_the_key_is_in_no_record_and_no_message(gemini: StandInGemini, large: Path) -> None:
    key = "AIza-a-wrong-and-secret-key"
    options = GeminiOptions(api_key=key, base_url=gemini.url)
    extractor = GeminiExtractor("gemini-2.5-flash", options=options, ffmpeg=footage.programs())
    small = large.with_name("small")
    small.write_bytes(b"\4")
    extractions = [await extractor.extract(of(path)) for path in (large, small)]
    await extractor.close()
    for extraction in extractions:
        assert extraction.failure is not None
        assert extraction.failure.failure_code is FailureCode.UNAUTHENTICATED
        assert "API key not valid: (key)" in extraction.failure.message
        assert key not in repr(extraction)
    assert key not in repr(options)


async def test_a_synthesis_needs_no_media(
    gemini: StandInGemini, extractor: GeminiExtractor
) -> None:
    extraction = await extractor.synthesize(synthesis_request(3))
    assert extraction.failure is None
    assert extraction.calls[-1].purpose is Purpose.VIDEO_SYNTHESIS
    (words,) = gemini.parts()
    assert "[5.0-10.0 s] summary: S1" in words["text"]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (GeminiOptions(), "PROMPTREEL_GEMINI_API_KEY"),
        (GeminiOptions(api_key=KEY, fps=0), "gemini_fps"),
        (GeminiOptions(api_key=KEY, media_resolution="huge"), "gemini_media_resolution"),
        (GeminiOptions(api_key=KEY, base_url="ftp://somewhere"), "gemini_base_url"),
    ],
)
def test_settings_that_can_not_be_meant_are_named_before_a_run(
    options: GeminiOptions, named: str
) -> None:
    with pytest.raises(Unavailable, match=named):
        Extractors(ExtractorOptions(gemini=options)).extractor("gemini-2.5-flash")


@pytest.mark.parametrize("name", ["gemini-", "gemini-../files", "gemini-a?key=b", "gemini-2 5"])
def test_a_name_that_no_model_can_have_is_refused(name: str) -> None:
    with pytest.raises(UnknownModel):
        Extractors(ExtractorOptions(gemini=GeminiOptions(api_key=KEY))).extractor(name)
