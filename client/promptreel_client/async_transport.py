"""The asyncio transport: makes calls, sends uploads and follows streams over grpc.aio."""

import asyncio
from collections.abc import Awaitable, Callable
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
AsyncSleep = Callable[[float], Awaitable[None]]

_UPLOAD = rpc_of(video_pb2.UploadVideoRequest)


class AsyncTransport:
    """The asyncio way to a server; belongs to the event loop of its first call."""

    def __init__(self, connection: Connection, *, sleep: AsyncSleep = asyncio.sleep) -> None:
        self.connection = connection
        self.sleep = sleep
        self._channels = Channels(connection, _channel)

    async def run(self, call: Call[T]) -> T:
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
                answer = await method(call.request, timeout=attempts.remaining(), metadata=metadata)
            except grpc.RpcError as error:
                delay = attempts.delay_after(known(error, request_id))
            else:
                return call.read(answer)
            await self.sleep(delay)

    async def send(self, upload: Upload) -> ImportJob:
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
                return decode(await self._send(upload, metadata), ImportJob)
            except grpc.RpcError as error:
                failure = known(error, request_id)
                if not upload.repeatable:
                    raise failure from error
                delay = attempts.delay_after(failure)
            await self.sleep(delay)

    def stream(self, request: Any, request_id: str, timeout: float | None) -> Any:
        """Open one stream: an async iterator of messages that can be cancelled."""
        method = self._channels.method(rpc_of(type(request)))
        metadata = self.connection.metadata(request_id, None)
        return method(request, timeout=timeout, metadata=metadata)

    async def close(self) -> None:
        """End all calls and close the channels."""
        for channel in self._channels.taken():
            await channel.close()

    async def _send(self, upload: Upload, metadata: Any) -> Any:
        """Send a file once.

        Writing stops the moment the call has its status: a write that fails after that would put
        `Internal error from Core` in its place.
        """
        sending = self._channels.method(_UPLOAD)(metadata=metadata)
        try:
            async with asyncio.TaskGroup() as tasks:
                writing = tasks.create_task(_write(sending, upload))
                sending.add_done_callback(lambda _: writing.cancel())
            return await sending
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None  # there is one task, and so one error
        finally:
            sending.cancel()


async def _write(sending: Any, upload: Upload) -> None:
    """Write all messages. The file is read in a thread, so that a slow disk holds nobody up."""
    sent = 0
    with upload.opened() as file:
        message = upload.header
        while not sending.done():
            try:
                await sending.write(message)
            except (asyncio.InvalidStateError, grpc.RpcError):
                return  # over meanwhile, and the call knows why
            sent += len(message.chunk)
            upload.told(sent)
            chunk = await asyncio.to_thread(file.read, CHUNK_BYTES)
            if not chunk:
                await sending.done_writing()
                return
            message = video_pb2.UploadVideoRequest(chunk=chunk)


def _channel(connection: Connection, options: tuple[tuple[str, Any], ...]) -> grpc.aio.Channel:
    if connection.credentials is None:
        return grpc.aio.insecure_channel(connection.target, options=options)
    return grpc.aio.secure_channel(connection.target, connection.credentials, options=options)
