"""The command that shows cuts without a server."""

import json
from pathlib import Path

import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from promptreel_server.commands.preview_segments import segments
from tests.footage import shots, still, tone

app = typer.Typer()
app.command()(segments)


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 0, result.output
    return result.stdout


def test_json_tells_duration_shots_speech_and_segments() -> None:
    clip = shots(3, 3.2)
    told = json.loads(run(str(clip.path), "--json"))
    assert told["duration"] == pytest.approx(6.2, abs=0.05)
    assert [shot["start_time"] for shot in told["shots"]] == [0, pytest.approx(3.0)]
    assert told["segments"][0] == {"start_time": 0, "end_time": pytest.approx(3.0)}
    assert told["speech"] == []


def test_shots_stops_after_the_list_of_shots() -> None:
    told = json.loads(run(str(shots(3, 3.2).path), "--shots", "--json"))
    assert set(told) == {"duration", "shots"}


def test_a_table_has_a_row_a_segment() -> None:
    told = run(str(shots(3, 3.2).path))
    assert "0:03.00" in told
    assert told.count("│ ") >= 2


def test_a_length_means_fixed_segments() -> None:
    told = json.loads(run(str(tone(5).path), "--seconds", "2", "--json"))
    assert [segment["end_time"] for segment in told["segments"]] == [2, 4, 5]


def test_an_image_is_one_segment() -> None:
    told = json.loads(run(str(still().path), "--json"))
    assert told["segments"] == [{"start_time": 0, "end_time": 0}]


def test_a_contact_sheet_shows_a_picture_a_segment(tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.jpg"
    run(str(shots(3, 3.2, 4).path), "--contact-sheet", str(sheet))
    with Image.open(sheet) as page:
        assert page.width > 3 * 240
        colours = {page.getpixel((left, 70)) for left in (60, 300, 560)}
    assert len(colours) == 3


def test_what_can_not_be_decoded_is_said_in_a_sentence(tmp_path: Path) -> None:
    nonsense = tmp_path / "nonsense.mp4"
    nonsense.write_bytes(b"nothing that could be played" * 100)
    result = CliRunner().invoke(app, [str(nonsense)])
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert len(result.stderr.strip()) > 20
