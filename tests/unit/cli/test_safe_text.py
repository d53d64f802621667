"""What a stranger called something does nothing to the terminal that shows it."""

import io
import json

import pytest
from rich.table import Table

from promptreel_client.cli.safe_text import safe, safe_console, safe_json

HOSTILE = "a\x1b]0;owned\x07b\x9b2Jc\u202egpj.exe\rd\x7f"


def test_what_a_terminal_acts_on_is_marked_and_the_rest_stays() -> None:
    assert safe("Ferry\t100 % – שלום 🎉\n") == "Ferry\t100 % – שלום 🎉\n"
    shown = safe(HOSTILE)
    assert shown.isprintable()
    assert shown.replace("\ufffd", "") == "a]0;ownedb2Jcgpj.exed"


@pytest.mark.parametrize("as_table", [False, True])
def test_a_console_shows_hostile_texts_safely_and_keeps_its_styles(as_table: bool) -> None:
    written = io.StringIO()
    console = safe_console(file=written, force_terminal=True, width=120, color_system="standard")
    if as_table:
        table = Table("title")
        table.add_row(HOSTILE.replace("[", ""))
        console.print(table)
    else:
        console.print(HOSTILE, style="red", markup=False)
    said = written.getvalue()
    assert "\x1b]" not in said
    assert "\x9b" not in said
    assert "\u202e" not in said
    assert "\x1b[" in said, "its own styles"


def test_json_says_the_same_with_such_characters_escaped() -> None:
    text = safe_json(json.dumps({"title": HOSTILE}, ensure_ascii=False))
    assert "\x9b" not in text
    assert "\u202e" not in text
    assert json.loads(text) == {"title": HOSTILE}
