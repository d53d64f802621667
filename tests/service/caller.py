"""A caller of the live server: stubs, metadata, and errors read whole."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

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
    prompt_run_pb2_grpc,
    rest_pb2_grpc,
    video_pb2,
    video_pb2_grpc,
)
from promptreel_server.model.key import Scope
from promptreel_server.store import keys
from promptreel_server.store.database import Database
from tests.gateway.loop_thread import LoopThread

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
        secret = keys.new_secret()
        self.thread.run(
            self.database.write(
                lambda tx: keys.create(
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

    def until_deleted(self, index_id: str) -> index_pb2.IndexDeletion:
        request = index_pb2.GetIndexDeletionRequest(index_id=index_id)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            found = self.indexes.GetIndexDeletion(request, metadata=self.said())
            if found.status == enums_pb2.DeletionStatus.Value.deleted:
                return found
            time.sleep(0.05)
        raise AssertionError("the deletion did not end")

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
