"""Import jobs as messages: one file and one part each."""

from promptreel.v2 import enums_pb2, import_job_pb2
from promptreel_server.domain.import_job import ImportJob, ImportStatus, SourceKind
from promptreel_server.services.messages.enums import words
from promptreel_server.services.messages.json_structs import to_struct
from promptreel_server.services.messages.timestamps import maybe_timestamp, timestamp

IMPORT_STATUS = words(ImportStatus, enums_pb2.ImportStatus.Value)
SOURCE_KIND = words(SourceKind, enums_pb2.SourceKind.Value)
_FILE = enums_pb2.ImportFileStatus.Value


def import_job(job: ImportJob) -> import_job_pb2.ImportJob:
    """Make the message of a job."""
    done = job.status is ImportStatus.COMPLETED
    failed = job.status is ImportStatus.FAILED
    message = import_job_pb2.ImportJob(
        job_id=job.job_id,
        status=IMPORT_STATUS.number(job.status),
        phase=None if job.status.terminal else job.status.value,
        source_kind=SOURCE_KIND.number(job.source_kind),
        target_index_id=job.index_id,
        source_prefix="",
        file_pattern="*",
        recursive=False,
        created_at=timestamp(job.created_at),
        started_at=maybe_timestamp(job.started_at),
        completed_at=maybe_timestamp(job.completed_at),
        error_message=job.error_message,
        progress=import_job_pb2.ImportProgress(
            total_files=1,
            imported=int(done),
            failed=int(failed),
            bytes_transferred=float(job.bytes_transferred),
            current_file=job.file_name if job.status is ImportStatus.IMPORTING else None,
            parts_total=1,
            parts_completed=int(done),
            parts_failed=int(failed),
        ),
        outputs=outputs(job),
        execution=import_job_pb2.ImportExecution(
            status=enums_pb2.ExecutionStatus.Value.not_requested
        ),
        video_ids=[job.video_id] if job.video_id else [],
    )
    if failed:
        failure = {"file_id": job.file_id, "file_name": job.file_name, "error": job.error_message}
        message.failed_files.append(to_struct(failure))
    return message


def outputs(job: ImportJob) -> import_job_pb2.ImportOutputs:
    """Make the message of what comes of a job."""
    item = import_job_pb2.ImportOutput(
        file_id=job.file_id,
        file_name=job.file_name,
        source_ordinal=0,
        part_index=0,
        part_count=1,
        source_start_seconds=0.0,
        source_end_seconds=job.duration_seconds,
        video_id=job.video_id or "",
        title=job.title,
        status=_file_status(job),
    )
    return import_job_pb2.ImportOutputs(items=[item], total=1)


def files(job: ImportJob, *, failed_only: bool) -> import_job_pb2.ImportFiles:
    """Make the message of the files of a job."""
    if failed_only and job.status is not ImportStatus.FAILED:
        return import_job_pb2.ImportFiles(total=0)
    item = import_job_pb2.ImportFile(
        file_id=job.file_id,
        file_name=job.file_name,
        source_ordinal=0,
        status=_file_status(job),
        part_count=1,
        parts_completed=int(job.status is ImportStatus.COMPLETED),
        parts_failed=int(job.status is ImportStatus.FAILED),
    )
    if job.status is ImportStatus.FAILED:
        reason = {"code": "unsupported_media", "message": job.error_message}
        item.failure.CopyFrom(to_struct(reason))
    return import_job_pb2.ImportFiles(items=[item], total=1)


def _file_status(job: ImportJob) -> enums_pb2.ImportFileStatus.Value.ValueType:
    return _FILE.Value(_FILE_WORDS[job.status])


_FILE_WORDS = {
    ImportStatus.PENDING: "pending",
    ImportStatus.SCANNING: "pending",
    ImportStatus.IMPORTING: "importing",
    ImportStatus.COMPLETED: "imported",
    ImportStatus.FAILED: "failed",
    ImportStatus.CANCELLED: "cancelled",
}
