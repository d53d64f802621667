"""Uploads send a header and then the bytes, in constant memory, telling how far they are."""

import io
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from queue import Queue
from typing import Any

import grpc
import pytest

from promptreel.v2 import enums_pb2, import_job_pb2
from promptreel_client import errors
from promptreel_client.upload import CHUNK_BYTES
from tests.unit.client.callers import Caller
from tests.unit.client.scripted import Script, Scripted, refusing

JOB = import_job_pb2.ImportJob(job_id="job_1")
AWAY = refusing(grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE", "Draining.", retry_after=0.01)


class Taken:
    """What uploads brought, each as its header and its bytes."""

    def __init__(self) -> None:
        self.headers: list[Any] = []
        self.bodies: list[bytes] = []

    def __call__(self, requests: Any, context: grpc.ServicerContext) -> Any:
        self.headers.append(next(requests).header)
        self.bodies.append(b"".join(request.chunk for request in requests))
        return JOB


@pytest.fixture
def taken(server: Scripted) -> Taken:
    taken = Taken()
    server.on("UploadVideo", taken)
    return taken


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "a clip.mp4"
    path.write_bytes(bytes(range(256)) * 4096 * 5 + b"end")
    return path


def after_reading(some: int, then: Script) -> Script:
    """Read so many messages of an upload, then answer otherwise."""

    def script(requests: Any, context: grpc.ServicerContext) -> Any:
        for _ in range(some):
            next(requests)
        return then(requests, context)

    return script


def test_a_file_arrives_whole_under_its_name(taken: Taken, caller: Caller, clip: Path) -> None:
    job = caller.call(lambda client: client.videos.upload(clip, index_id="idx_1"))
    assert job.job_id == "job_1"
    assert taken.bodies == [clip.read_bytes()]
    header = taken.headers[0]
    assert (header.title, header.file_name, header.index_id) == (
        "a clip.mp4",
        "a clip.mp4",
        "idx_1",
    )


def test_a_path_may_be_text_and_a_title_given(taken: Taken, caller: Caller, clip: Path) -> None:
    caller.call(lambda client: client.videos.upload(file=str(clip), title="My clip"))
    assert taken.headers[0].title == "My clip"
    assert not taken.headers[0].HasField("index_id")


def test_progress_goes_from_nothing_to_all(taken: Taken, caller: Caller, clip: Path) -> None:
    told: list[tuple[int, int | None]] = []
    caller.call(
        lambda client: client.videos.upload(
            clip, on_progress=lambda sent, total: told.append((sent, total))
        )
    )
    size = clip.stat().st_size
    assert told[0] == (0, size)
    assert told[-1] == (size, size)
    assert [sent for sent, _ in told] == sorted({sent for sent, _ in told})
    assert len(told) == 2 + size // CHUNK_BYTES


def test_an_open_file_is_sent_from_where_it_stands_and_stays_open(
    taken: Taken, caller: Caller
) -> None:
    file = io.BytesIO(b"skipped and sent")
    file.seek(8)
    caller.call(lambda client: client.videos.upload(file, title="Bytes"))
    assert taken.bodies == [b"and sent"]
    assert not file.closed


class Pipe(io.RawIOBase):
    """Bytes that come once and have no end that is known."""

    def __init__(self, body: bytes) -> None:
        self._left = body

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        chunk, self._left = self._left[:size], self._left[size:]
        return chunk


def test_a_pipe_is_sent_without_a_total(taken: Taken, caller: Caller) -> None:
    totals: set[int | None] = set()
    caller.call(
        lambda client: client.videos.upload(
            Pipe(b"x" * 10), title="Pipe", on_progress=lambda sent, total: totals.add(total)
        )
    )
    assert taken.bodies == [b"x" * 10]
    assert totals == {None}


def test_a_file_is_sent_again_under_its_key_when_the_server_went_away(
    server: Scripted, caller: Caller, clip: Path
) -> None:
    taken = Taken()
    server.on("UploadVideo", after_reading(2, AWAY), taken)
    caller.call(lambda client: client.videos.upload(clip))
    assert taken.bodies == [clip.read_bytes()]
    assert len({seen.metadata["idempotency-key"] for seen in server.seen}) == 1
    assert len(server.seen) == 2


def test_a_pipe_is_not_sent_again(server: Scripted, caller: Caller) -> None:
    server.on("UploadVideo", AWAY)
    with pytest.raises(errors.UnavailableError):
        caller.call(lambda client: client.videos.upload(Pipe(b"x"), title="Pipe"))
    assert len(server.seen) == 1


def test_a_refusal_in_the_middle_stops_the_upload(
    server: Scripted, caller: Caller, clip: Path
) -> None:
    refusal = refusing(grpc.StatusCode.NOT_FOUND, "NOT_FOUND", "No such index.")
    server.on("UploadVideo", after_reading(1, refusal))
    with pytest.raises(errors.NotFoundError, match="No such index"):
        caller.call(lambda client: client.videos.upload(clip, index_id="idx_0"))


def test_a_file_that_is_not_there_is_refused_before_any_call(
    server: Scripted, caller: Caller, tmp_path: Path
) -> None:
    with pytest.raises(errors.InvalidRequestError, match="file"):
        caller.call(lambda client: client.videos.upload(tmp_path / "none.mp4"))
    assert server.seen == []


def test_bytes_without_a_name_need_a_title(caller: Caller) -> None:
    with pytest.raises(errors.InvalidRequestError, match="title"):
        caller.call(lambda client: client.videos.upload(io.BytesIO(b"x")))


class Left:
    """An upload as the server sees it whose caller leaves in the middle."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.verdict: Queue[bool] = Queue()

    def __call__(self, requests: Any, context: grpc.ServicerContext) -> Any:
        over = threading.Event()
        if not context.add_callback(over.set):
            over.set()
        self.reached.set()
        with suppress(grpc.RpcError):
            for _ in requests:
                pass
        self.verdict.put(over.wait(3))
        return JOB

    def was_cancelled(self) -> bool:
        """Whether the caller took the call back, in place of waiting for its answer."""
        return self.verdict.get(timeout=10)


@pytest.fixture
def left(server: Scripted) -> Left:
    left = Left()
    server.on("UploadVideo", left)
    return left


def test_a_file_that_can_not_be_read_to_its_end_is_no_upload(left: Left, caller: Caller) -> None:
    class Broken(Pipe):
        def read(self, size: int = -1) -> bytes:
            if self._left:
                return super().read(4)
            left.reached.wait(5)
            raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        caller.call(lambda client: client.videos.upload(Broken(b"12345678"), title="Broken"))
    assert left.was_cancelled()


def test_a_progress_bar_that_fails_stops_the_upload(left: Left, caller: Caller, clip: Path) -> None:
    def fail(sent: int, total: int | None) -> None:
        left.reached.wait(5)
        raise KeyError("bar")

    with pytest.raises(KeyError):
        caller.call(lambda client: client.videos.upload(clip, on_progress=fail))
    assert left.was_cancelled()


def job_that_stands(*words: str) -> list[Callable[..., Any]]:
    numbers = [enums_pb2.ImportStatus.Value.Value(word) for word in words]
    jobs = [import_job_pb2.ImportJob(job_id="job_1", status=number) for number in numbers]
    return [lambda request, context, job=job: job for job in jobs]


@pytest.mark.parametrize("last", ["completed", "failed", "cancelled"])
def test_waiting_for_an_import_job_answers_it_when_it_is_over(
    server: Scripted, caller: Caller, last: str
) -> None:
    server.on("GetImportJob", *job_that_stands("pending", "scanning", "importing", last))
    seen: list[str] = []
    job = caller.call(
        lambda client: client.import_jobs.wait(
            "job_1", on_progress=lambda job: seen.append(job.status)
        )
    )
    assert job.status == last
    assert seen == ["pending", "scanning", "importing", last]
    assert caller.pauses == sorted(caller.pauses)


def test_waiting_for_an_import_job_ends_with_its_time(server: Scripted, caller: Caller) -> None:
    server.on("GetImportJob", *job_that_stands("importing"))
    with pytest.raises(errors.DeadlineError):
        caller.call(lambda client: client.import_jobs.wait("job_1", timeout=0.05))
