"""ImportJobService: how bytes become media items."""

from typing import Any

import grpc

from promptreel.v2 import import_job_pb2, import_job_pb2_grpc
from promptreel_server.domain.import_job import ImportJob
from promptreel_server.engine.library.uri_imports import UriImports
from promptreel_server.services.call.context import current_call
from promptreel_server.services.call.cursors import Cursors, Listing
from promptreel_server.services.call.idempotency import once
from promptreel_server.services.messages import import_jobs as messages
from promptreel_server.store.catalogue import import_jobs
from promptreel_server.store.database.database import Database

Context = grpc.aio.ServicerContext[Any, Any]


class ImportJobService(import_job_pb2_grpc.ImportJobServiceServicer):
    """Answers import jobs; each has one file and one output, so their lists have one page."""

    def __init__(self, database: Database, cursors: Cursors, from_uris: UriImports) -> None:
        self._database = database
        self._cursors = cursors
        self._from_uris = from_uris

    async def GetImportJob(
        self, request: import_job_pb2.GetImportJobRequest, context: Context
    ) -> import_job_pb2.ImportJob:
        """Answer one job."""
        return messages.import_job(await self._fetch(request.job_id))

    async def ListImportJobOutputs(
        self, request: import_job_pb2.ListImportJobOutputsRequest, context: Context
    ) -> import_job_pb2.ImportOutputs:
        """Answer what comes of a job."""
        self._cursors.wanted(Listing(name="ListImportJobOutputs"), request)
        return messages.outputs(await self._fetch(request.job_id))

    async def ListImportJobFiles(
        self, request: import_job_pb2.ListImportJobFilesRequest, context: Context
    ) -> import_job_pb2.ImportFiles:
        """Answer the files of a job."""
        self._cursors.wanted(Listing(name="ListImportJobFiles"), request)
        job = await self._fetch(request.job_id)
        return messages.files(job, failed_only=request.failed_only)

    async def ListImportJobs(
        self, request: import_job_pb2.ListImportJobsRequest, context: Context
    ) -> import_job_pb2.ListImportJobsResponse:
        """Answer the jobs of the caller, newest first."""
        owner = current_call().owner_id
        status = None
        if request.HasField("status"):
            status = messages.IMPORT_STATUS.member(request.status, "status")
        listing = Listing(
            name="ListImportJobs",
            filters=(request.status,),
            default_limit=200,
            most=1000,
        )
        wanted = self._cursors.wanted(listing, request)
        page = await self._database.read(
            lambda c: import_jobs.list_jobs(c, owner, wanted, status=status)
        )
        return import_job_pb2.ListImportJobsResponse(
            data=[messages.import_job(job) for job in page.items],
            pagination=self._cursors.pagination(listing, wanted, page),
        )

    async def CancelImportJob(
        self, request: import_job_pb2.CancelImportJobRequest, context: Context
    ) -> import_job_pb2.ImportJob:
        """Ask a job to stop; one that has ended stays as it is."""
        owner = current_call().owner_id
        answer = await once(
            self._database,
            "CancelImportJob",
            request,
            lambda tx: messages.import_job(self._from_uris.cancel(tx, owner, request.job_id)),
            import_job_pb2.ImportJob,
        )
        self._from_uris.stop(request.job_id)
        return answer

    async def RetryImportJob(
        self, request: import_job_pb2.RetryImportJobRequest, context: Context
    ) -> import_job_pb2.ImportJob:
        """Try a failed or cancelled job again."""
        owner = current_call().owner_id
        answer = await once(
            self._database,
            "RetryImportJob",
            request,
            lambda tx: messages.import_job(self._from_uris.retry(tx, owner, request.job_id)),
            import_job_pb2.ImportJob,
        )
        self._from_uris.wake()
        return answer

    async def _fetch(self, job_id: str) -> ImportJob:
        owner = current_call().owner_id
        return await self._database.read(lambda c: import_jobs.fetch(c, owner, job_id))
