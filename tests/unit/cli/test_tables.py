"""How values look to people."""

from datetime import UTC, datetime
from enum import StrEnum

import pytest

from promptreel_client.cli.plain import plain
from promptreel_client.cli.tables import clock, fields, leaves
from promptreel_client.model.runs import WatchEnd
from promptreel_client.model.words import RunStatus, WatchEndReason


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "00:00.0"), (9.04, "00:09.0"), (59.96, "01:00.0"), (75.3, "01:15.3"), (3725, "1:02:05.0")],
)
def test_media_time_is_written_to_the_tenth(seconds: float, shown: str) -> None:
    assert clock(seconds) == shown


def test_fields_are_flattened_to_their_paths() -> None:
    metadata = {
        "summary": "A cat.",
        "scene": {"setting": "indoors", "subjects": ["cat", "chair"]},
        "people": [{"name": "Ann"}, {"name": None}],
    }

    assert leaves(metadata) == [
        ("summary", "A cat."),
        ("scene.setting", "indoors"),
        ("scene.subjects", "cat, chair"),
        ("people[0].name", "Ann"),
        ("people[1].name", ""),
    ]


def test_empty_fields_are_not_shown() -> None:
    assert fields({"a": "", "b": [], "c": None, "d": 0}).plain == "d: 0"


def test_an_answer_becomes_json_with_the_names_of_the_contract() -> None:
    ended = WatchEnd(status=RunStatus.COMPLETED, reason=WatchEndReason.RUN_ENDED)

    assert plain(ended) == {"status": "completed", "reason": "run_ended"}


def test_times_are_rfc_3339_and_bytes_base64() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

    assert plain((moment, None, b"\x00\xff")) == ["2026-01-02T03:04:05Z", None, "AP8="]


def test_a_word_is_written_as_its_value() -> None:
    class Word(StrEnum):
        HERE = "here"

    assert type(plain(Word.HERE)) is str


def test_what_json_has_no_form_for_is_refused() -> None:
    with pytest.raises(TypeError, match="object has no form in JSON"):
        plain(object())
