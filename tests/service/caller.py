"""A caller of the live server: stubs, metadata, and errors read whole."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import grpc
from google.rpc import error_details_pb2, status_pb2

from promptreel.v2 import (
    api_key_pb2_grpc,
    enums_pb2,
    import_job_pb2,
    import_job_pb2_grpc,
    index_pb2,
    index_pb2_grpc,
    prompt_pb2_grpc,
    prompt_run_pb2,
    prompt_run_pb2_grpc,
    rest_pb2_grpc,
    run_pb2,
    segment_pb2,
    video_pb2,
    video_pb2_grpc,
)
from promptreel_server.domain.key import Scope
from promptreel_server.store.access import api_keys, idempotency
from promptreel_server.store.access.idempotency import KeyUse
from promptreel_server.store.database.database import Database
from tests.gateway.loop_thread import LoopThread

Found = TypeVar("Found")
Metadata = tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Live:
    """A running server, and a second way into its database."""

    address: str
    first_key: str
    data: Path
    root: Path
    database: Database
    thread: LoopThread

    def make_key(
        self, owner: str, scope: Scope = Scope.ADMIN, expires_at: datetime | None = None
    ) -> str:
        secret = api_keys.new_secret()
        self.thread.run(
            self.database.write(
                lambda tx: api_keys.create(
                    tx,
                    owner_id=owner,
                    name="test",
                    scope=scope,
                    secret=secret,
                    expires_at=expires_at,
                )
            )
        )
        return secret

    def files(self) -> set[Path]:
        """Every media file that the server keeps, finished or not."""
        found = (self.data / "blobs").rglob("*")
        return {path for path in found if path.is_file()}


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """What a call that was refused says, in every form it says it."""

    code: grpc.StatusCode
    message: str
    envelope: dict[str, Any]
    http_status: int
    info: error_details_pb2.ErrorInfo
    violations: tuple[str, ...]
    trailers: dict[str, str | bytes]

    @property
    def reason(self) -> str:
        return str(self.envelope["code"])


@dataclass(frozen=True, kw_only=True)
class Caller:
    """One owner with a key."""

    live: Live
    owner: str
    key: str
    channel: grpc.Channel

    @property
    def indexes(self) -> index_pb2_grpc.IndexServiceStub:
        return index_pb2_grpc.IndexServiceStub(self.channel)

    @property
    def videos(self) -> video_pb2_grpc.VideoServiceStub:
        return video_pb2_grpc.VideoServiceStub(self.channel)

    @property
    def jobs(self) -> import_job_pb2_grpc.ImportJobServiceStub:
        return import_job_pb2_grpc.ImportJobServiceStub(self.channel)

    @property
    def prompts(self) -> prompt_pb2_grpc.PromptServiceStub:
        return prompt_pb2_grpc.PromptServiceStub(self.channel)

    @property
    def runs(self) -> prompt_run_pb2_grpc.PromptRunServiceStub:
        return prompt_run_pb2_grpc.PromptRunServiceStub(self.channel)

    @property
    def keys(self) -> api_key_pb2_grpc.ApiKeyServiceStub:
        return api_key_pb2_grpc.ApiKeyServiceStub(self.channel)

    @property
    def rest(self) -> rest_pb2_grpc.RestServiceStub:
        return rest_pb2_grpc.RestServiceStub(self.channel)

    def said(self, **headers: str) -> Metadata:
        """Metadata with the key; `idempotency_key="x"` becomes the header of that name."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return tuple({"x-api-key": self.key, **named}.items())

    def index(self, name: str = "Archive") -> str:
        request = index_pb2.CreateIndexRequest(name=name)
        return self.indexes.CreateIndex(request, metadata=self.said()).index_id

    def until_imported(self, job_id: str) -> import_job_pb2.ImportJob:
        request = import_job_pb2.GetImportJobRequest(job_id=job_id)

        def ended() -> import_job_pb2.ImportJob | None:
            job = self.jobs.GetImportJob(request, metadata=self.said())
            return job if job.HasField("completed_at") else None

        return until(ended)

    def until_runs_end(self) -> list[run_pb2.PromptRun]:
        request = prompt_run_pb2.ListPromptRunsRequest()
        open_ones = (enums_pb2.RunStatus.Value.pending, enums_pb2.RunStatus.Value.processing)

        def ended() -> list[run_pb2.PromptRun] | None:
            runs = list(self.runs.ListPromptRuns(request, metadata=self.said()).data)
            return None if any(run.status in open_ones for run in runs) else runs

        return until(ended)

    def wait_for_key(self, key: str) -> None:
        """Wait until the server holds an idempotency key for an upload."""
        use = KeyUse(owner_id=self.owner, operation="UploadVideo", key=key)
        database = self.live.database

        def held() -> bool | None:
            found = self.live.thread.run(database.read(lambda c: idempotency.find(c, use)))
            return None if found is None else True

        until(held)

    def until_deleted(self, index_id: str) -> index_pb2.IndexDeletion:
        request = index_pb2.GetIndexDeletionRequest(index_id=index_id)

        def done() -> index_pb2.IndexDeletion | None:
            found = self.indexes.GetIndexDeletion(request, metadata=self.said())
            return found if found.status == enums_pb2.DeletionStatus.Value.deleted else None

        return until(done)

    def until_video_deleted(self, video_id: str) -> video_pb2.VideoDeletion:
        request = video_pb2.GetVideoDeletionRequest(video_id=video_id)

        def done() -> video_pb2.VideoDeletion | None:
            found = self.videos.GetVideoDeletion(request, metadata=self.said())
            return found if found.status == enums_pb2.DeletionStatus.Value.deleted else None

        return until(done)

    def delete_index(self, index_id: str) -> index_pb2.IndexDeletion:
        request = index_pb2.DeleteIndexRequest(index_id=index_id)
        return self.indexes.DeleteIndex(request, metadata=self.said())

    def segments(self, video_id: str) -> list[segment_pb2.Segment]:
        request = video_pb2.ListVideoSegmentsRequest(video_id=video_id)
        return list(self.videos.ListVideoSegments(request, metadata=self.said()).data)

    def upload(
        self,
        content: bytes | Path,
        *,
        title: str = "Clip",
        index_id: str | None = None,
        file_name: str = "clip.mp4",
        **headers: str,
    ) -> import_job_pb2.ImportJob:
        data = content.read_bytes() if isinstance(content, Path) else content
        header = video_pb2.UploadHeader(title=title, index_id=index_id, file_name=file_name)
        return self.videos.UploadVideo(upload_parts(header, data), metadata=self.said(**headers))


def until(look: Callable[[], Found | None], seconds: float = 20.0) -> Found:
    """Look again and again until there is something to see."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = look()
        if found is not None:
            return found
        time.sleep(0.03)
    raise AssertionError("what was waited for did not come")


def upload_parts(
    header: video_pb2.UploadHeader, data: bytes, size: int = 100_000
) -> Iterator[video_pb2.UploadVideoRequest]:
    yield video_pb2.UploadVideoRequest(header=header)
    for start in range(0, len(data), size):
        yield video_pb2.UploadVideoRequest(chunk=data[start : start + size])


def refusal(call: Callable[[], Any]) -> Refusal:
    """Make a call that must be refused and read what it says."""
    try:
        call()
    except grpc.RpcError as error:
        return _read(error)
    raise AssertionError("the call was not refused")


def _read(error: Any) -> Refusal:
    trailers = dict(error.trailing_metadata() or ())
    status = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in status.details:
        for kind in (info, bad):
            if detail.TypeName() == kind.DESCRIPTOR.full_name:
                detail.Unpack(kind)
    envelope = json.loads(trailers["x-error-envelope"])["error"]
    return Refusal(
        code=error.code(),
        message=error.details(),
        envelope=envelope,
        http_status=int(trailers["x-http-status"]),
        info=info,
        violations=tuple(violation.field for violation in bad.field_violations),
        trailers=trailers,
    )
