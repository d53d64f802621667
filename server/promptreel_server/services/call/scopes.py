"""Which scope each method asks for: one table, checked for gaps at start."""

from collections.abc import Iterable

from google.protobuf.descriptor import FileDescriptor, ServiceDescriptor

from promptreel_server.domain.key import Scope

_READ = Scope.READ
_WRITE = Scope.WRITE
_ADMIN = Scope.ADMIN

_BY_SERVICE: dict[str, dict[str, Scope]] = {
    "IndexService": {
        "CreateIndex": _WRITE,
        "GetIndex": _READ,
        "ListIndexes": _READ,
        "DeleteIndex": _ADMIN,
        "GetIndexDeletion": _READ,
        "ListIndexVideos": _READ,
        "ListIndexPromptRuns": _READ,
    },
    "VideoService": {
        "CreateVideo": _WRITE,
        "UploadVideo": _WRITE,
        "GetVideo": _READ,
        "DeleteVideo": _ADMIN,
        "GetVideoDeletion": _READ,
        "ListVideoSegments": _READ,
        "ListPlaygroundVideos": _READ,
        "ListVideoPromptRuns": _READ,
        "BatchGetVideos": _READ,
        "BatchGetVideoStatus": _READ,
        "BatchGetVideoSegments": _READ,
        "GetSegmentThumbnail": _READ,
        "GetVideoGif": _READ,
    },
    "ImportJobService": {
        "GetImportJob": _READ,
        "ListImportJobOutputs": _READ,
        "ListImportJobFiles": _READ,
        "ListImportJobs": _READ,
        "CancelImportJob": _WRITE,
        "RetryImportJob": _WRITE,
    },
    "PromptService": {
        "CreatePrompt": _WRITE,
        "ListPrompts": _READ,
        "GetPrompt": _READ,
        "UpdatePrompt": _WRITE,
        "DeletePrompt": _ADMIN,
        "GetPromptUsage": _READ,
        "TestSchema": _READ,
    },
    "PromptRunService": {
        "ExecutePromptRun": _WRITE,
        "EstimatePromptRun": _READ,
        "GetPromptRun": _READ,
        "ListPromptRuns": _READ,
        "CancelPromptRun": _WRITE,
        "ListResults": _READ,
        "GetVideoResult": _READ,
        "GetFailedSegments": _READ,
        "RetrySegment": _WRITE,
        "RetryFailedSegments": _WRITE,
        "GetSegmentRetry": _READ,
        "ListSegmentRetries": _READ,
        "ListLlmCalls": _READ,
        "WatchPromptRun": _READ,
        "StreamResults": _READ,
    },
    "EventService": {"WatchEvents": _READ},
    "ApiKeyService": {
        "CreateApiKey": _ADMIN,
        "ListApiKeys": _ADMIN,
        "GetApiKey": _ADMIN,
        "RevokeApiKey": _ADMIN,
        "RotateApiKey": _ADMIN,
        "DeleteApiKey": _ADMIN,
    },
    "AccountService": {"RecordProcessingActivity": _WRITE},
    "RestService": {
        "ListIndexes": _READ,
        "UploadVideoForm": _WRITE,
        "ListVideoPromptRuns": _READ,
        "BatchGetVideos": _READ,
        "BatchGetVideoStatus": _READ,
        "BatchGetVideoSegments": _READ,
        "GetSegmentThumbnail": _READ,
        "GetVideoGif": _READ,
        "ListImportJobs": _READ,
        "ListPromptRuns": _READ,
        "ListLlmCalls": _READ,
        "WatchPromptRunEvents": _READ,
        "StreamEvents": _READ,
        "ListApiKeys": _ADMIN,
    },
}

PACKAGE = "promptreel.v2"
SCOPES: dict[str, Scope] = {
    f"/{PACKAGE}.{service}/{method}": scope
    for service, methods in _BY_SERVICE.items()
    for method, scope in methods.items()
}
"""Full method name → the least scope that may call it."""

_OPEN_METHODS = frozenset({f"/{PACKAGE}.RestService/GetOpenApi"})
_OPEN_SERVICES = ("/grpc.health.v1.Health/", "/grpc.reflection.")


def is_open(method: str) -> bool:
    """Tell whether a method needs no key."""
    return method in _OPEN_METHODS or method.startswith(_OPEN_SERVICES)


def methods_of(service: ServiceDescriptor) -> Iterable[str]:
    """Name the methods of a service as calls name them."""
    return (f"/{service.full_name}/{method.name}" for method in service.methods)


def check_complete(files: Iterable[FileDescriptor]) -> None:
    """Refuse to start where a method has no scope, or the table names one that is gone.

    Raises:
        ValueError: names the methods.
    """
    served = {
        method
        for file in files
        for service in file.services_by_name.values()
        for method in methods_of(service)
    }
    wrong = {m for m in served if m not in SCOPES and not is_open(m)} | (SCOPES.keys() - served)
    if wrong:
        raise ValueError(f"Scopes and methods don't match: {', '.join(sorted(wrong))}")
