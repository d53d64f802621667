"""What users may import, and that asking for little loads little."""

import subprocess
import sys

import promptreel_client
from promptreel_client import model

NAMES = """
ApiKey AsyncClient AsyncPager AsyncWatch Client DeletionStatus EmbeddingStatus Event EventUpdate
ExecutionStatus FailedSegment FailedSegmentManifest FailedVideo FailureCode ImportExecution
ImportFile ImportFileStatus ImportJob ImportOutput ImportOutputs ImportProgress ImportStatus Index
IndexDeletion LlmCall LlmCallPurpose LlmCallStatus Marker MediaStatus MediaType Operation
OperationCounts Page Pager Prompt PromptRun PromptRunEstimate PromptRunProcessingStatus PromptUsage
RetriedSegments Retry RetryStatus RotatedApiKey RunMediaStatus RunStatus RunUpdate SchemaTest Scope
Segment SegmentProcessingStatus SegmentResult SegmentStatus SegmentationMode SemanticIndexing
SkippedSegment SourceKind StopState SynthesisStatus Target TargetType Transcription Video
VideoDeletion VideoLevel VideoLevelProcessingStatus VideoResult VideoSegments VideoStatus Watch
WatchEnd WatchEndReason Word errors
"""


def test_the_public_names_are_these() -> None:
    assert sorted(promptreel_client.__all__) == sorted(NAMES.split())


def test_every_public_name_can_be_had() -> None:
    for name in promptreel_client.__all__:
        assert getattr(promptreel_client, name) is not None


def test_all_of_the_model_is_public() -> None:
    assert set(model.__all__) <= set(promptreel_client.__all__)


def test_importing_the_package_alone_loads_no_grpc() -> None:
    code = "import sys, promptreel_client; sys.exit('grpc' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_client_loads_nothing_of_the_server() -> None:
    code = (
        "import sys; from promptreel_client import AsyncClient, Client;"
        "sys.exit(any(name.startswith('promptreel_server') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
