"""The contract in protobuf: formatted, unbroken, freshly generated, and true to the code."""

import io
import json
import re
import runpy
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from google.api import annotations_pb2, httpbody_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pb2 import (
    FileDescriptorProto,
    FileDescriptorSet,
    MethodDescriptorProto,
    ServiceDescriptorProto,
)
from google.protobuf.descriptor_pool import DescriptorPool

from promptreel.v2 import enums_pb2, error_reason_pb2
from promptreel_server import errors
from promptreel_server.domain.import_job import ImportStatus, SourceKind
from promptreel_server.domain.index import DeletionStatus
from promptreel_server.domain.key import Scope
from promptreel_server.domain.llm_call import LlmCallStatus, Purpose
from promptreel_server.domain.media import MediaStatus, MediaType
from promptreel_server.domain.retry import RetryStatus
from promptreel_server.domain.run import RunMediaStatus, RunStatus, SynthesisStatus
from promptreel_server.domain.segment import SegmentationMode, SegmentStatus
from promptreel_server.domain.target import TargetType

ROOT = Path(__file__).resolve().parents[2]
BUF = Path(sys.executable).parent / "buf"
PACKAGE = "promptreel.v2"
METHOD_IN_SERVICE, VALUE_IN_ENUM = 2, 2  # field numbers, as source paths name them
SERVICE_IN_FILE, ENUM_IN_FILE = 6, 5


def buf(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(BUF), *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )


def git(*arguments: str) -> str:
    """What git says, or nothing where it knows no answer."""
    done = subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() if done.returncode == 0 else ""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[FileDescriptorProto]:
    """The files of our package, with their comments."""
    image = tmp_path_factory.mktemp("contract") / "image.binpb"
    done = buf("build", "--as-file-descriptor-set", "-o", str(image))
    assert done.returncode == 0, done.stderr
    everything = FileDescriptorSet.FromString(image.read_bytes())
    return [file for file in everything.file if file.package == PACKAGE]


def committed_descriptor() -> FileDescriptorSet:
    return FileDescriptorSet.FromString((ROOT / "gateway" / "api.binpb").read_bytes())


def services(files: list[FileDescriptorProto]) -> Iterator[ServiceDescriptorProto]:
    for file in files:
        yield from file.service


def comment(file: FileDescriptorProto, *path: int) -> str:
    """The comment above what `path` names, on one line."""
    found = [place for place in file.source_code_info.location if list(place.path) == list(path)]
    return " ".join(found[0].leading_comments.split())


def test_the_contract_has_no_lint() -> None:
    done = buf("lint")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_contract_is_formatted() -> None:
    done = buf("format", "--diff", "--exit-code", "proto")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_generated_files_are_those_of_the_contract(tmp_path: Path) -> None:
    runpy.run_path(str(ROOT / "tools" / "gen.py"))["generate"](tmp_path)
    fresh = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*.*"))
    ours = [path.relative_to(ROOT) for path in (ROOT / "gen").rglob("*.*")]
    ours = [path for path in ours if "__pycache__" not in path.parts]
    assert sorted([*ours, Path("gateway/api.binpb")]) == fresh
    stale = [path for path in fresh if (ROOT / path).read_bytes() != (tmp_path / path).read_bytes()]
    assert stale == [], "run `make gen` and commit what it writes"


def test_the_gateway_knows_the_types_that_errors_are_made_of() -> None:
    names = {file.name for file in committed_descriptor().file}
    assert {"google/rpc/status.proto", "google/rpc/error_details.proto"} <= names


def base_commit() -> str:
    """The commit at which this one left main; on main itself, the commit before it.

    Empty where it can't be known: no git, a shallow clone, the first commit. Looked up by hash and
    read by `git archive`, because `buf` itself would clone, which a shallow or detached checkout
    can't give it.
    """
    for main in ("origin/main", "main"):
        base = git("merge-base", "HEAD", main)
        if base:
            on_main = base == git("rev-parse", "HEAD")
            return git("rev-parse", "--verify", "--quiet", "HEAD^") if on_main else base
    return ""


def breaks(before: Path) -> str:
    """What the contract breaks of the one in the folder `before`, or nothing."""
    shutil.copyfile(ROOT / "buf.yaml", before / "buf.yaml")
    return buf("breaking", "--against", str(before)).stdout


def test_nothing_that_main_promised_is_broken(tmp_path: Path) -> None:
    base = base_commit()
    if not base or not git("ls-tree", base, "proto/promptreel"):
        pytest.skip("no earlier contract to compare with in this checkout")
    archive = subprocess.run(
        ["git", "archive", base, "proto", "third_party"], cwd=ROOT, capture_output=True, check=True
    )
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
        tar.extractall(tmp_path, filter="data")
    assert breaks(tmp_path) == ""


def test_a_deleted_rpc_would_be_seen_as_broken(tmp_path: Path) -> None:
    for folder in ("proto", "third_party"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    event = tmp_path / "proto" / "promptreel" / "v2" / "event.proto"
    watch = re.search(r"  rpc WatchEvents.*;\n", event.read_text())
    assert watch is not None
    once = watch[0].replace("WatchEvents(", "WatchEventsOnce(")
    event.write_text(event.read_text().replace(watch[0], watch[0] + "  // Once more.\n" + once))
    assert "WatchEventsOnce" in breaks(tmp_path)


def routes(method: MethodDescriptorProto) -> Iterator[tuple[str, str]]:
    extension: Any = annotations_pb2.http  # its stub does not say whose extension it is
    rule = method.options.Extensions[extension]
    for binding in (rule, *rule.additional_bindings):
        verb = binding.WhichOneof("pattern")
        if verb:
            yield verb.upper(), getattr(binding, verb)


def test_the_routes_are_the_golden_ones() -> None:
    # Nothing else sees a changed path: buf compares messages and rpcs, not their annotations.
    ours = [file for file in committed_descriptor().file if file.package == PACKAGE]
    lines = [
        f"{verb} {path} → {service.name}.{method.name}"
        for service in services(ours)
        for method in service.method
        for verb, path in routes(method)
    ]
    golden = (Path(__file__).parent / "routes.golden").read_text().splitlines()
    assert sorted(lines, key=lambda line: line.split()[1::-1]) == golden


def test_no_two_rpcs_share_a_route(files: list[FileDescriptorProto]) -> None:
    seen: set[tuple[str, str]] = set()
    for service in services(files):
        for method in service.method:
            for verb, path in routes(method):
                shape = (verb, re.sub(r"\{\w+\}", "{}", path))
                assert shape not in seen
                seen.add(shape)


def test_every_rpc_can_be_reached_over_rest(files: list[FileDescriptorProto]) -> None:
    rest = next(service for service in services(files) if service.name == "RestService")
    twins = {method.name for method in rest.method}
    renamed = {
        "UploadVideo": "UploadVideoForm",
        "WatchPromptRun": "WatchPromptRunEvents",
        "WatchEvents": "StreamEvents",
        # Over REST a reader follows the run and pages through its results.
        "StreamResults": "WatchPromptRunEvents",
    }
    for service in services(files):
        for method in service.method:
            if not list(routes(method)):
                assert renamed.get(method.name, method.name) in twins


def messages_that_rest_prints() -> Iterator[Descriptor]:
    pool = DescriptorPool()
    for file in committed_descriptor().file:
        pool.Add(file)
    for service in services([f for f in committed_descriptor().file if f.package == PACKAGE]):
        for method in service.method:
            descriptor = pool.FindServiceByName(f"{PACKAGE}.{service.name}").methods_by_name[
                method.name
            ]
            # Streams of typed messages are for gRPC alone.
            if not descriptor.server_streaming:
                yield from _within(descriptor.output_type, set())


def _within(message: Descriptor, seen: set[str]) -> Iterator[Descriptor]:
    if message.full_name in seen or message.full_name == httpbody_pb2.HttpBody.DESCRIPTOR.full_name:
        return
    seen.add(message.full_name)
    yield message
    for field in message.fields:
        if field.message_type is not None:
            yield from _within(field.message_type, seen)


def test_rest_never_prints_a_64_bit_integer() -> None:
    # JSON would have it as a string.
    wide = {FieldDescriptor.CPPTYPE_INT64, FieldDescriptor.CPPTYPE_UINT64}
    printed = {message.full_name: message for message in messages_that_rest_prints()}
    assert f"{PACKAGE}.Word" in printed
    ours = [message for name, message in printed.items() if name.startswith(PACKAGE)]
    assert [f.full_name for m in ours for f in m.fields if f.cpp_type in wide] == []


def test_every_rpc_says_its_scope_and_its_errors(files: list[FileDescriptorProto]) -> None:
    known = set(error_reason_pb2.ErrorReason.keys())
    scopes = "|".join(enums_pb2.Scope.Value.keys()[1:])
    for file in files:
        for s, service in enumerate(file.service):
            if service.name == "RestService":
                continue  # its rpcs name the typed ones
            for m, method in enumerate(service.method):
                said = comment(file, SERVICE_IN_FILE, s, METHOD_IN_SERVICE, m)
                assert re.search(rf"Scope: ({scopes})\. Errors: ", said), method.name
                reasons = set(re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", said.split("Errors: ")[1]))
                assert reasons <= known, method.name


def test_every_rpc_for_rest_names_the_one_it_is_thin_over(files: list[FileDescriptorProto]) -> None:
    names = {f"{s.name}.{m.name}" for s in services(files) for m in s.method}
    rest = next(file for file in files if file.name.endswith("/rest.proto"))
    for m, method in enumerate(rest.service[0].method):
        said = comment(rest, SERVICE_IN_FILE, 0, METHOD_IN_SERVICE, m)
        typed = re.match(r"`(\w+\.\w+)`", said)
        assert method.name == "GetOpenApi" or (typed is not None and typed[1] in names)


def refusals(kind: type[errors.PromptreelError]) -> Iterator[type[errors.PromptreelError]]:
    """The classes of the tree that become a status."""
    for child in kind.__subclasses__():
        if child is not errors.OperationFailure:  # data, never a status
            yield child
            yield from refusals(child)


def test_the_catalogue_holds_every_refusal_and_what_it_is(files: list[FileDescriptorProto]) -> None:
    file = next(file for file in files if file.name.endswith("/error_reason.proto"))
    known = list(refusals(errors.PromptreelError))
    reasons = {kind.reason.upper() for kind in known}
    assert reasons == set(error_reason_pb2.ErrorReason.keys()[1:])
    for number, value in enumerate(file.enum_type[0].value):
        said = comment(file, ENUM_IN_FILE, 0, VALUE_IN_ENUM, number)
        for kind in (kind for kind in known if kind.reason.upper() == value.name):
            assert f"{kind.code.name}, HTTP {kind.http_status}." in said
        if number:
            example: dict[str, Any] = json.loads(said.split("Example: ")[1])
            assert example["reason"] == value.name
            assert example["domain"] == "promptreel"
            assert set(example) == {"reason", "domain", "metadata"}


@pytest.mark.parametrize(
    ("ours", "wire"),
    [
        (TargetType, enums_pb2.TargetType),
        (MediaType, enums_pb2.MediaType),
        (MediaStatus, enums_pb2.MediaStatus),
        (DeletionStatus, enums_pb2.DeletionStatus),
        (SegmentationMode, enums_pb2.SegmentationMode),
        (RunStatus, enums_pb2.RunStatus),
        (RunMediaStatus, enums_pb2.RunMediaStatus),
        (SegmentStatus, enums_pb2.SegmentStatus),
        (SynthesisStatus, enums_pb2.SynthesisStatus),
        (errors.FailureCode, enums_pb2.FailureCode),
        (RetryStatus, enums_pb2.RetryStatus),
        (LlmCallStatus, enums_pb2.LlmCallStatus),
        (Purpose, enums_pb2.LlmCallPurpose),
        (ImportStatus, enums_pb2.ImportStatus),
        (SourceKind, enums_pb2.SourceKind),
    ],
)
def test_the_model_and_the_contract_use_the_same_words(ours: type[Enum], wire: Any) -> None:
    assert {member.value for member in ours} == set(wire.Value.keys()[1:])


def test_scopes_are_named_and_ordered_alike() -> None:
    words = {name: number for name, number in enums_pb2.Scope.Value.items() if number}
    assert {scope.name.lower(): scope.value for scope in Scope} == words
