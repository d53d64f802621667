"""The blocking transport: makes calls, sends uploads and follows streams over grpc."""

import time
from collections.abc import Callable, Iterator
from queue import Empty, Full, Queue
from typing import Any, TypeVar

import grpc

from promptreel.v2 import video_pb2
from promptreel_client.attempts import Attempts
from promptreel_client.call import Call, new_key
from promptreel_client.channels import Channels
from promptreel_client.connection import Connection
from promptreel_client.contract import rpc_of
from promptreel_client.decoding import decode
from promptreel_client.model.import_jobs import ImportJob
from promptreel_client.statuses import known
from promptreel_client.upload import CHUNK_BYTES, Upload

T = TypeVar("T")
Sleep = Callable[[float], None]

_UPLOAD = rpc_of(video_pb2.UploadVideoRequest)
_CHUNKS_AHEAD = 2
_LOOK_UP_SECONDS = 0.1


class Transport:
    """The blocking way to a server; may be used by many threads at once."""

    def __init__(self, connection: Connection, *, sleep: Sleep = time.sleep) -> None:
        self.connection = connection
        self.sleep = sleep
        self._channels = Channels(connection, _channel)

    def run(self, call: Call[T]) -> T:
        """Make a call, again where that is safe and may help, and answer what it answers.

        Raises:
            PromptreelError: the call failed.
        """
        rpc = rpc_of(type(call.request))
        request_id = new_key()
        metadata = self.connection.metadata(request_id, call.idempotency_key)
        attempts = Attempts(self.connection.timeout)
        while True:
            method = self._channels.method(rpc)
            try:
                answer = method(call.request, timeout=attempts.remaining(), metadata=metadata)
            except grpc.RpcError as error:
                delay = attempts.delay_after(known(error, request_id))
            else:
                return call.read(answer)
            self.sleep(delay)

    def send(self, upload: Upload) -> ImportJob:
        """Send a media item, for as long as that takes.

        Raises:
            PromptreelError: the upload failed.
            OSError: the file could not be read.
        """
        request_id = new_key()
        metadata = self.connection.metadata(request_id, upload.idempotency_key)
        attempts = Attempts(None)
        while True:
            try:
                return decode(self._send(upload, metadata), ImportJob)
            except grpc.RpcError as error:
                failure = known(error, request_id)
                if not upload.repeatable:
                    raise failure from error
                delay = attempts.delay_after(failure)
            self.sleep(delay)

    def stream(self, request: Any, request_id: str, timeout: float | None) -> Any:
        """Open one stream: an iterator of messages that can be cancelled."""
        method = self._channels.method(rpc_of(type(request)))
        metadata = self.connection.metadata(request_id, None)
        return method(request, timeout=timeout, metadata=metadata)

    def close(self) -> None:
        """End all calls and close the channels."""
        for channel in self._channels.taken():
            channel.close()

    def _send(self, upload: Upload, metadata: Any) -> Any:
        """Send a file once. It is read in the caller's thread, grpc takes from another one."""
        ahead: Queue[Any] = Queue(_CHUNKS_AHEAD)
        sending = self._channels.method(_UPLOAD).future(iter(ahead.get, None), metadata=metadata)
        try:
            for message in _messages(upload):
                _put(ahead, message, sending)
            _put(ahead, None, sending)
            return sending.result()
        finally:
            sending.cancel()
            _release(ahead)


def _messages(upload: Upload) -> Iterator[video_pb2.UploadVideoRequest]:
    sent = 0
    with upload.opened() as file:
        yield upload.header
        upload.told(sent)
        while chunk := file.read(CHUNK_BYTES):
            yield video_pb2.UploadVideoRequest(chunk=chunk)
            sent += len(chunk)
            upload.told(sent)


def _put(ahead: "Queue[Any]", message: Any, sending: Any) -> None:
    """Hand a message over; raises what ended the call where nobody takes it any more."""
    while True:
        if sending.done():
            sending.result()
        try:
            return ahead.put(message, timeout=_LOOK_UP_SECONDS)
        except Full:
            continue


def _release(ahead: "Queue[Any]") -> None:
    """Let the thread that takes messages end; by now its call is over."""
    while True:
        try:
            return ahead.put_nowait(None)
        except Full:
            _drop_one(ahead)


def _drop_one(ahead: "Queue[Any]") -> None:
    try:
        ahead.get_nowait()
    except Empty:
        return  # the other thread was quicker


def _channel(connection: Connection, options: tuple[tuple[str, Any], ...]) -> grpc.Channel:
    if connection.credentials is None:
        return grpc.insecure_channel(connection.target, options=options)
    return grpc.secure_channel(connection.target, connection.credentials, options=options)
