"""The client of a promptreel server: `Client` and `AsyncClient` over gRPC, with typed results.

Everything is loaded when it is first asked for, so that a command that calls no server starts at
once.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from promptreel_client import errors
    from promptreel_client.client import AsyncClient, Client
    from promptreel_client.model import *  # noqa: F403 - all that it lists
    from promptreel_client.pages import AsyncPager, Page, Pager
    from promptreel_client.watch import AsyncWatch, Watch

__all__ = [  # noqa: F405 - the same
    "ApiKey",
    "AsyncClient",
    "AsyncPager",
    "AsyncWatch",
    "Client",
    "DeletionStatus",
    "EmbeddingStatus",
    "Event",
    "EventUpdate",
    "ExecutionStatus",
    "FailedSegment",
    "FailedSegmentManifest",
    "FailedVideo",
    "FailureCode",
    "ImportExecution",
    "ImportFile",
    "ImportFileStatus",
    "ImportJob",
    "ImportOutput",
    "ImportOutputs",
    "ImportProgress",
    "ImportStatus",
    "Index",
    "IndexDeletion",
    "LlmCall",
    "LlmCallPurpose",
    "LlmCallStatus",
    "Marker",
    "MediaStatus",
    "MediaType",
    "Operation",
    "OperationCounts",
    "Page",
    "Pager",
    "Prompt",
    "PromptRun",
    "PromptRunEstimate",
    "PromptRunProcessingStatus",
    "PromptUsage",
    "RetriedSegments",
    "Retry",
    "RetryStatus",
    "RotatedApiKey",
    "RunMediaStatus",
    "RunStatus",
    "RunUpdate",
    "SchemaTest",
    "Scope",
    "Segment",
    "SegmentProcessingStatus",
    "SegmentResult",
    "SegmentStatus",
    "SegmentationMode",
    "SemanticIndexing",
    "SkippedSegment",
    "SourceKind",
    "StopState",
    "SynthesisStatus",
    "Target",
    "TargetType",
    "Transcription",
    "Video",
    "VideoDeletion",
    "VideoLevel",
    "VideoLevelProcessingStatus",
    "VideoResult",
    "VideoSegments",
    "VideoStatus",
    "Watch",
    "WatchEnd",
    "WatchEndReason",
    "Word",
    "errors",
]

_HOMES = {
    "AsyncClient": "client",
    "AsyncPager": "pages",
    "AsyncWatch": "watch",
    "Client": "client",
    "Page": "pages",
    "Pager": "pages",
    "Watch": "watch",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "errors":
        return import_module("promptreel_client.errors")
    home = import_module(f"promptreel_client.{_HOMES.get(name, 'model')}")
    found = globals()[name] = getattr(home, name)
    return found
