"""What passes is attempted again by itself: a decoder or a model that died in mid-work."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace

import pytest
from sqlalchemy import select

from promptreel_server.domain.operation import Operation
from promptreel_server.domain.run import Run, RunStatus
from promptreel_server.domain.segment import Transcript
from promptreel_server.embedders.embedder import Frame, ImageVector
from promptreel_server.engine.drive import segmentation
from promptreel_server.errors import (
    FailureCode,
    MediaUnavailable,
    MediaUnreadable,
    ModelFailure,
    OperationFailure,
)
from promptreel_server.segmenters import Cut, Progress, SegmentationRequest
from promptreel_server.segmenters.fixed import FixedSegmenter
from promptreel_server.store.catalogue import media
from promptreel_server.store.database.database import Database
from promptreel_server.store.schema import tables
from promptreel_server.transcribers.transcriber import TranscriptionRequest
from tests.engines import OWNER, Rig, rig
from tests.media_items import FACTS, media_item

DIED = ModelFailure(FailureCode.MODEL_UNAVAILABLE, "the speech model ended with -9")


@pytest.fixture
async def running(database: Database) -> AsyncIterator[Rig]:
    async with rig(database) as made:
        yield made


class FlakySegmenter(FixedSegmenter):
    """Cuts evenly, once it has failed as told."""

    def __init__(self, *failures: OperationFailure) -> None:
        self.left = list(failures)

    async def cut(self, request: SegmentationRequest, progress: Progress) -> Cut:
        if self.left:
            raise self.left.pop(0)
        return await super().cut(request, progress)


class FlakyTranscriber:
    """Hears nothing, once it has failed as told."""

    model = "flaky"

    def __init__(self, *failures: OperationFailure) -> None:
        self.left = list(failures)

    async def transcribe(
        self, request: TranscriptionRequest, progress: Callable[[float], None]
    ) -> Transcript:
        if self.left:
            raise self.left.pop(0)
        return Transcript(text="", language=None, words=())

    async def close(self) -> None:
        """Nothing is held."""


class Embedder:
    """An embedder that is there when a run is ordered."""

    space = "none"
    dimension = 1

    async def embed(self, frames: Sequence[Frame]) -> list[ImageVector]:
        raise NotImplementedError

    async def close(self) -> None:
        """Nothing is held."""


async def _cut(running: Rig, monkeypatch: pytest.MonkeyPatch, segmenter: FlakySegmenter) -> Run:
    monkeypatch.setattr(segmentation, "segmenter_for", lambda *_: segmenter)
    run = await running.execute(await running.prompt(), [await running.add(seconds=30)])
    return await running.ended(run.run_id)


async def _heard(running: Rig, *failures: OperationFailure) -> Run:
    """Run over one segment with sound, whose transcription fails so before it works."""
    running.means.transcriber.made = FlakyTranscriber(*failures)
    return await _run_over_sound(running, transcription=True)


async def _run_over_sound(
    running: Rig, *, transcription: bool = False, image_embedding: bool = False
) -> Run:
    item = media_item(OWNER, facts=FACTS)
    await running.database.write(lambda tx: media.insert_item(tx, item))
    order = running.order(await running.prompt(), [item], seconds=30)
    settings = replace(
        order.settings,
        enable_transcription=transcription,
        enable_image_embedding=image_embedding,
    )
    run = await running.accept(replace(order, settings=settings))
    running.means.embedder.made = None  # what was installed then may be gone by now
    await running.engine.begin(run.run_id)
    return await running.ended(run.run_id)


async def _attempts(running: Rig, operation: Operation) -> list[FailureCode | None]:
    """The codes of the attempts at an operation, in their order; None for success."""
    kept = tables.attempts.c
    wanted = select(kept.code).where(kept.operation == operation).order_by(kept.attempt)
    return await running.database.read(lambda c: list(c.execute(wanted).scalars()))


async def test_cutting_is_attempted_again_when_the_decoder_was_killed(
    running: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = MediaUnavailable("The program that reads the media was killed from outside.")
    ended = await _cut(running, monkeypatch, FlakySegmenter(killed, killed, killed))
    assert (ended.status, ended.completed_segments) == (RunStatus.COMPLETED, 3)


async def test_a_decoder_that_is_killed_four_times_fails_its_medium(
    running: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    segmenter = FlakySegmenter(*[MediaUnavailable("Killed from outside.")] * 5)
    ended = await _cut(running, monkeypatch, segmenter)
    assert (ended.status, len(segmenter.left)) == (RunStatus.FAILED, 1)


async def test_what_can_not_be_decoded_is_attempted_once(
    running: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    segmenter = FlakySegmenter(*[MediaUnreadable("Nothing in it can be decoded.")] * 2)
    ended = await _cut(running, monkeypatch, segmenter)
    assert (ended.status, len(segmenter.left)) == (RunStatus.FAILED, 1)


async def test_a_speech_model_that_died_is_asked_again_and_each_attempt_is_kept(
    running: Rig,
) -> None:
    ended = await _heard(running, DIED, DIED)
    assert ended.status is RunStatus.COMPLETED
    died = FailureCode.MODEL_UNAVAILABLE
    assert await _attempts(running, Operation.TRANSCRIPTION) == [died, died, None]


async def test_a_speech_model_that_dies_four_times_fails_the_transcription_alone(
    running: Rig,
) -> None:
    ended = await _heard(running, *[DIED] * 5)
    assert ended.status is RunStatus.COMPLETED_WITH_FAILURES
    assert len(await _attempts(running, Operation.TRANSCRIPTION)) == 4
    assert await _attempts(running, Operation.FIELD_EXTRACTION) == [None]


async def test_a_model_that_is_gone_since_is_asked_for_once(running: Rig) -> None:
    running.means.embedder.made = Embedder()
    await _run_over_sound(running, image_embedding=True)
    found = await _attempts(running, Operation.IMAGE_EMBEDDING)
    assert found == [FailureCode.MODEL_UNAVAILABLE]
