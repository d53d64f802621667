"""The configuration fits the contract, and the binary is found or missed with a sentence."""

import re
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from promptreel_server import errors
from promptreel_server.gateway import binary, find_envoy
from promptreel_server.gateway.contract import PACKAGE, Route, read_contract

FILES = binary.find_files()
DESCRIPTOR = FILES / "api.binpb"


def test_every_stream_of_the_server_has_a_route_of_its_own_without_a_timeout() -> None:
    files = FileDescriptorSet.FromString(DESCRIPTOR.read_bytes()).file
    streams = {
        f"/{PACKAGE}.{service.name}/{method.name}"
        for file in files
        if file.package == PACKAGE
        for service in file.service
        for method in service.method
        if method.server_streaming
    }
    template = (FILES / "envoy.yaml").read_text()
    routed = set(re.findall(r"match: \{path: (\S+)\}, route: (?:\*watch|&watch)", template))
    assert routed == streams


def test_the_contract_s_services_routes_and_words_are_read() -> None:
    contract = read_contract(DESCRIPTOR)
    assert "promptreel.v2.RestService" in contract.services
    assert Route(method="GET", path="/openapi.json") in contract.routes
    assert Route(method="POST", path="/api/v2/videos/upload") in contract.routes
    assert contract.words["promptreel.v2.SegmentationMode.Value"][:2] == ("smart", "fixed")


def test_a_route_becomes_a_pattern_over_the_whole_path() -> None:
    route = Route(method="GET", path="/api/v2/prompt-runs/{run_id}/openapi.json")
    assert route.lua_pattern == "^/api/v2/prompt%-runs/[^/]+/openapi%.json$"


def test_the_details_of_errors_are_in_the_descriptor() -> None:
    names = {file.name for file in FileDescriptorSet.FromString(DESCRIPTOR.read_bytes()).file}
    assert {"google/rpc/error_details.proto", "google/rpc/status.proto"} <= names


def test_a_configured_envoy_that_is_no_program_is_named(tmp_path: Path) -> None:
    text = tmp_path / "envoy"
    text.write_text("not executable")
    with pytest.raises(errors.Unavailable, match=re.escape(str(text))):
        find_envoy(text)


def test_without_the_wheel_path_is_searched_and_then_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binary, "_of_the_wheel", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(errors.Unavailable, match=r"promptreel\[server\]"):
        find_envoy(None)
    program = tmp_path / "envoy"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert find_envoy(None) == program
