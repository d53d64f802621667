"""The demo's own pieces: its clip, its prompt, and the line that says where the server is."""

import pytest

from promptreel_client.cli import demo_prompt, demo_server
from promptreel_client.cli.demo import find_clip
from promptreel_client.cli.demo_server import addresses, asked
from promptreel_client.cli.failing import CommandFailed
from promptreel_server.extractors.json_schema.compiled import check_schema


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (
            "Promptreel is ready: REST on http://127.0.0.1:40367, gRPC on 127.0.0.1:40255\n",
            ("127.0.0.1:40255", "http://127.0.0.1:40367"),
        ),
        (
            "gRPC on localhost:50051, REST on http://localhost:8080.",
            ("localhost:50051", "http://localhost:8080"),
        ),
        ("gRPC [::1]:50051 REST http://[::1]:8080/", ("[::1]:50051", "http://[::1]:8080")),
    ],
)
def test_both_addresses_are_read_from_one_line(line: str, found: tuple[str, str]) -> None:
    assert addresses(line) == found


def test_a_line_without_addresses_is_shown() -> None:
    with pytest.raises(CommandFailed, match="port 8080 is taken"):
        addresses("port 8080 is taken")


def test_the_clip_is_found_in_a_checkout() -> None:
    assert find_clip().stat().st_size > 1_000_000


def test_the_schemas_of_the_demo_are_ones_that_the_server_takes() -> None:
    check_schema(demo_prompt.JSON_SCHEMA)
    check_schema(demo_prompt.VIDEO_LEVEL["json_schema"])


def test_a_command_that_fails_is_quoted_with_its_last_words() -> None:
    with pytest.raises(CommandFailed, match=r"`promptreel nonsense .*` failed: .*nonsense"):
        asked("nonsense", "here")


def test_a_server_that_ends_at_once_is_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_server, "asked", lambda *arguments: "sk_1")
    monkeypatch.setenv("PROMPTREEL_DRAIN_SECONDS", "a while")

    with (
        pytest.raises(CommandFailed, match=r"the server ended at once: .*drain_seconds"),
        demo_server.demo_server(),
    ):
        pytest.fail("it came up")
