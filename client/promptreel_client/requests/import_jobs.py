"""Import jobs: how bytes become media items."""

from promptreel.v2 import enums_pb2
from promptreel.v2 import import_job_pb2 as pb
from promptreel_client.call import Call, Paged, paging, paging_items, reading, writing
from promptreel_client.model.import_jobs import ImportFile, ImportJob, ImportOutput
from promptreel_client.requests.words import number


def retrieve(job_id: str) -> Call[ImportJob]:
    """Answer one import job.

    Raises:
        NotFoundError: there is no such import job.
    """
    return reading(pb.GetImportJobRequest(job_id=job_id), ImportJob)


def list_all(
    *, status: str | None = None, limit: int | None = None, cursor: str | None = None
) -> Paged[ImportJob]:
    """List the caller's import jobs, newest first.

    Args:
        status: Only those that stand so: a word of `ImportStatus`. None: all.
        limit: Items a page: 1 to 1000. None: 200.
        cursor: Where to start. None: at the first.
    """
    request = pb.ListImportJobsRequest(
        status=number(enums_pb2.ImportStatus.Value, status, "status"), limit=limit, cursor=cursor
    )
    return paging(request, ImportJob)


def outputs(
    job_id: str, *, limit: int | None = None, cursor: str | None = None
) -> Paged[ImportOutput]:
    """List what came of an import job, in source order.

    Args:
        job_id: The import job.
        limit: Items a page: 1 to 100. None: 50.
        cursor: Where to start. None: at the first.
    """
    request = pb.ListImportJobOutputsRequest(job_id=job_id, limit=limit, cursor=cursor)
    return paging_items(request, ImportOutput)


def files(
    job_id: str,
    *,
    failed_only: bool | None = None,
    limit: int | None = None,
    cursor: str | None = None,
) -> Paged[ImportFile]:
    """List the files of an import job and how each stands, in source order.

    Args:
        job_id: The import job.
        failed_only: Whether to list the failed ones only. None: all.
        limit: Items a page: 1 to 100. None: 50.
        cursor: Where to start. None: at the first.
    """
    request = pb.ListImportJobFilesRequest(
        job_id=job_id, failed_only=failed_only, limit=limit, cursor=cursor
    )
    return paging_items(request, ImportFile)


def cancel(job_id: str, *, idempotency_key: str | None = None) -> Call[ImportJob]:
    """Ask an import job to stop. Best effort; a finished one is answered as it is.

    Raises:
        NotFoundError: there is no such import job.
    """
    return writing(pb.CancelImportJobRequest(job_id=job_id), ImportJob, idempotency_key)


def retry(job_id: str, *, idempotency_key: str | None = None) -> Call[ImportJob]:
    """Import again the files of a failed or cancelled job that did not get in.

    Raises:
        NotFoundError: there is no such import job.
        ConflictError: it is under way or complete, or the bytes have to be sent again.
    """
    return writing(pb.RetryImportJobRequest(job_id=job_id), ImportJob, idempotency_key)
