"""Uploads: the bytes of one media item, from a gRPC stream or from a form."""

from collections.abc import AsyncIterator, Mapping

from google.api.httpbody_pb2 import HttpBody

from promptreel.v2 import import_job_pb2, video_pb2
from promptreel_server.domain.import_job import ImportJob, SourceKind
from promptreel_server.engine.library.media_imports import Imports, Upload
from promptreel_server.errors import Invalid
from promptreel_server.media.blobs import BlobWriter
from promptreel_server.services.call.context import current_call
from promptreel_server.services.call.idempotency import Held, held, request_hash
from promptreel_server.services.messages.import_jobs import import_job
from promptreel_server.services.messages.multipart_form import FormReader
from promptreel_server.store.database.database import Database
from promptreel_server.store.schema.transaction import Transaction

OPERATION = "UploadVideo"


class Uploads:
    """Takes bytes to disk as they come and answers the finished import job."""

    def __init__(self, database: Database, imports: Imports) -> None:
        self._database = database
        self._imports = imports

    async def from_stream(
        self, requests: AsyncIterator[video_pb2.UploadVideoRequest]
    ) -> import_job_pb2.ImportJob:
        """Take a header and then chunks.

        Raises:
            Invalid: the messages are in another order.
        """
        owner = current_call().owner_id
        async with held(self._database, OPERATION) as key:
            header = await _header(requests)
            job = await self._begin(header, key)
            async with await self._imports.writer(owner, again=key.used) as writer:
                async for request in requests:
                    if request.WhichOneof("part") != "chunk":
                        raise Invalid.field("header", "comes once, as the first message")
                    await writer.write(request.chunk)
                return await self._finish(job, header, writer, key)

    async def from_form(self, bodies: AsyncIterator[HttpBody]) -> import_job_pb2.ImportJob:
        """Take a multipart form with the parts `file`, `title` and, perhaps, `index_id`."""
        owner = current_call().owner_id
        async with (
            held(self._database, OPERATION) as key,
            await self._imports.writer(owner, again=key.used) as writer,
        ):

            async def open_file(fields: Mapping[str, str]) -> BlobWriter:
                if "title" in fields:  # else it comes behind the file, and is checked there
                    await self._begin(_form_header(fields, "upload"), key)
                return writer

            form = await FormReader(open_file).read(bodies)
            header = _form_header(form.fields, form.file_name)
            job = await self._begin(header, key)
            return await self._finish(job, header, writer, key)

    async def _begin(self, header: video_pb2.UploadHeader, key: Held) -> ImportJob:
        """Check what bytes are to become and make their job, which is stored when it is done.

        What came with its key before was checked then, and is only compared.
        """
        upload = Upload(
            owner_id=current_call().owner_id,
            title=header.title,
            index_id=header.index_id or None,
            file_name=header.file_name,
        )
        if not key.used:
            await self._database.read(lambda c: self._imports.check(c, upload))
        return self._imports.new_job(upload, SourceKind.UPLOAD)

    async def _finish(
        self, job: ImportJob, header: video_pb2.UploadHeader, writer: BlobWriter, key: Held
    ) -> import_job_pb2.ImportJob:
        sealed = await writer.seal()
        digest = request_hash(header, video_pb2.UploadVideoRequest(chunk=sealed.sha256.encode()))
        replayed = key.replay(digest, import_job_pb2.ImportJob)
        if replayed is not None:
            return replayed

        def remember(tx: Transaction, ended: ImportJob) -> None:
            key.complete(tx, digest, import_job(ended))

        return import_job(await self._imports.finish(job, writer, remember))


async def _header(
    requests: AsyncIterator[video_pb2.UploadVideoRequest],
) -> video_pb2.UploadHeader:
    async for request in requests:
        if request.WhichOneof("part") == "header":
            return request.header
        break
    raise Invalid.field("header", "the first message says what the bytes are to become")


def _form_header(fields: Mapping[str, str], file_name: str) -> video_pb2.UploadHeader:
    return video_pb2.UploadHeader(
        title=fields.get("title", ""),
        index_id=fields.get("index_id") or None,
        file_name=file_name,
    )
