"""Runs over drawn clips by gRPC, and the sums that must hold in the store after each."""

import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.json_format import ParseDict
from sqlalchemy import Connection, func, select

from promptreel.v2 import (
    enums_pb2,
    manifest_pb2,
    prompt_pb2,
    prompt_run_pb2,
    result_pb2,
    retry_pb2,
    run_pb2,
)
from promptreel_server.domain.media import MediaType
from promptreel_server.domain.operation import Operation, OperationStatus
from promptreel_server.domain.run import RunMediaStatus, SynthesisStatus
from promptreel_server.domain.segment import SegmentStatus
from promptreel_server.store.schema.tables import run_media, run_segments, runs, syntheses
from tests import footage
from tests.service.caller import Caller, until

Status = enums_pb2.RunStatus.Value
Mode = enums_pb2.SegmentationMode.Value
TargetType = enums_pb2.TargetType.Value

OPEN = (Status.pending, Status.processing)
SEGMENTS = 6
"""How many segments of 2 s the clip has."""

SCHEMA = {
    "type": "object",
    "properties": {"summary": {"type": "string"}},
    "required": ["summary"],
}
VIDEO_LEVEL = {
    "instructions_text": "Tell the story of the whole medium.",
    "json_schema": {
        "type": "object",
        "properties": {"story": {"type": "string"}},
        "required": ["story"],
    },
}

_NUMBERS = itertools.count()


@dataclass(frozen=True, kw_only=True)
class Runner:
    """An owner who executes prompts over clips of 12 s."""

    caller: Caller

    def prompt(self, **changes: Any) -> str:
        """Make a prompt that asks what nobody asked before; answers its id."""
        asked = {
            "name": "Scenes",
            "prompt_text": f"Say what is to be seen, number {next(_NUMBERS)}.",
            "json_schema": SCHEMA,
            "video_level": VIDEO_LEVEL,
            **changes,
        }
        request = ParseDict(asked, prompt_pb2.CreatePromptRequest())
        return self.caller.prompts.CreatePrompt(request, metadata=self.caller.said()).prompt_id

    def video(self, *lengths: float, index_id: str | None = None) -> str:
        """Take in a silent clip, of 12 s unless lengths of shots say else; answers its id."""
        path = footage.shots(*(lengths or (4, 4, 4)), sound=False).path
        job = self.caller.upload(path, index_id=index_id)
        return self.caller.until_imported(job.job_id).video_ids[0]

    def request(self, *video_ids: str, **changes: Any) -> prompt_run_pb2.ExecutePromptRunRequest:
        """What asks for a run over media items in segments of 2 s, unless `changes` say else."""
        asked = {
            "target": {"type": "videos", "video_ids": list(video_ids)},
            "video_segmentation_type": "fixed",
            "video_segment_duration": 2,
            "processing_model": "canned",
            "enable_image_embedding": False,
            **changes,
        }
        if "prompt_id" not in asked:
            asked["prompt_id"] = self.prompt()
        given = {name: value for name, value in asked.items() if value is not None}
        return ParseDict(given, prompt_run_pb2.ExecutePromptRunRequest())

    def execute(self, *video_ids: str, **changes: Any) -> run_pb2.PromptRun:
        """Execute a prompt of its own."""
        request = self.request(*video_ids, **changes)
        return self.caller.runs.ExecutePromptRun(request, metadata=self.caller.said())

    def get(self, run_id: str) -> run_pb2.PromptRun:
        """Look at a run."""
        request = prompt_run_pb2.GetPromptRunRequest(run_id=run_id)
        return self.caller.runs.GetPromptRun(request, metadata=self.caller.said())

    def ended(self, run_id: str, seconds: float = 30) -> run_pb2.PromptRun:
        """Wait for the end of a run, and see that its sums hold."""

        def look() -> run_pb2.PromptRun | None:
            run = self.get(run_id)
            return None if run.status in OPEN else run

        run = until(look, seconds)
        self.check_sums(run_id)
        return run

    def finished(self, *video_ids: str, **changes: Any) -> run_pb2.PromptRun:
        """Execute and wait for the end."""
        return self.ended(self.execute(*video_ids, **changes).run_id)

    def cancel(self, run_id: str) -> run_pb2.PromptRun:
        """Ask a run to stop."""
        request = prompt_run_pb2.CancelPromptRunRequest(run_id=run_id)
        return self.caller.runs.CancelPromptRun(request, metadata=self.caller.said())

    def manifest(self, run_id: str, **changes: Any) -> manifest_pb2.FailedSegmentManifest:
        """What stands failed."""
        request = prompt_run_pb2.GetFailedSegmentsRequest(run_id=run_id, **changes)
        return self.caller.runs.GetFailedSegments(request, metadata=self.caller.said())

    def results(self, run_id: str, video_id: str) -> list[result_pb2.SegmentRunResult]:
        """The results of a media item, up to 100."""
        request = prompt_run_pb2.ListResultsRequest(run_id=run_id, video_id=video_id, limit=100)
        return list(self.caller.runs.ListResults(request, metadata=self.caller.said()).data)

    def retry(
        self, run_id: str, video_id: str, segment_id: str, *, force: bool = False
    ) -> retry_pb2.Retry:
        """Ask for a segment again."""
        request = prompt_run_pb2.RetrySegmentRequest(
            run_id=run_id, video_id=video_id, segment_id=segment_id, force=force
        )
        return self.caller.runs.RetrySegment(request, metadata=self.caller.said())

    def retry_all(self, run_id: str, **changes: Any) -> prompt_run_pb2.RetryFailedSegmentsResponse:
        """Ask for all that failed again."""
        request = prompt_run_pb2.RetryFailedSegmentsRequest(run_id=run_id, **changes)
        return self.caller.runs.RetryFailedSegments(request, metadata=self.caller.said())

    def retry_ended(self, retry: retry_pb2.Retry, seconds: float = 30) -> retry_pb2.Retry:
        """Wait for the end of a retry."""
        open_ones = (enums_pb2.RetryStatus.Value.pending, enums_pb2.RetryStatus.Value.processing)
        request = prompt_run_pb2.GetSegmentRetryRequest(
            run_id=retry.run_id,
            video_id=retry.video_id,
            segment_id=retry.segment_id,
            retry_id=retry.retry_id,
        )

        def look() -> retry_pb2.Retry | None:
            now = self.caller.runs.GetSegmentRetry(request, metadata=self.caller.said())
            return None if now.status in open_ones else now

        return until(look, seconds)

    def read(self, reading: Callable[[Connection], Any]) -> Any:
        """Look into the store."""
        live = self.caller.live
        return live.thread.run(live.database.read(reading))

    def check_sums(self, run_id: str) -> None:
        """See that the counters of a run, and of its media items, are what the rows say."""
        self.read(lambda c: _check_run(c, run_id))


def _check_run(c: Connection, run_id: str) -> None:
    row = c.execute(select(runs).where(runs.c.run_id == run_id)).one()
    items = c.execute(select(run_media).where(run_media.c.run_id == run_id)).all()
    rows = c.execute(select(run_segments).where(run_segments.c.run_id == run_id)).all()
    _check_segments(row, rows)
    for item in items:
        _check_segments(item, [one for one in rows if one.video_id == item.video_id])
    assert row.total_media == len(items)
    assert row.done_media == sum(item.status.terminal for item in items)
    for kind in MediaType:
        found = Counter(item.status for item in items if item.media_type is kind)
        assert getattr(row, f"total_{kind.value}s") == found.total()
        for status in RunMediaStatus:
            if status.terminal:
                assert getattr(row, f"{status.value}_{kind.value}s") == found[status], status
    made = c.execute(
        select(syntheses.c.status, func.count().label("members"))
        .where(syntheses.c.run_id == run_id)
        .group_by(syntheses.c.status)
    )
    by_status = {row.status: row.members for row in made}
    for made_status in SynthesisStatus:
        if made_status.terminal:
            counted = getattr(row, f"video_level_{made_status.value}")
            assert counted == by_status.get(made_status, 0), made_status


def _check_segments(row: Any, rows: Sequence[Any]) -> None:
    found = Counter(one.status for one in rows)
    assert row.total_segments == len(rows)
    for status in (SegmentStatus.COMPLETED, SegmentStatus.FAILED, SegmentStatus.CANCELLED):
        assert getattr(row, f"{status.value}_segments") == found[status], status
    for operation in Operation:
        failed = sum(
            getattr(one, f"{operation.value}_status") is OperationStatus.FAILED
            for one in rows
            if one.status.terminal
        )
        assert getattr(row, f"{operation.value}_failures") == failed, operation
