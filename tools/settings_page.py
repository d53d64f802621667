"""Writes docs/reference/settings.md from the settings themselves."""

from pathlib import Path

from promptreel_server.settings import PREFIX, load, shown

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "settings.md"

HEAD = """# Settings

Each can be set as an environment variable, in `promptreel.toml` in the data folder (or the file
that `PROMPTREEL_CONFIG` names) under the name in lower case, and some by an option of
`promptreel serve`. Options win over the environment, that over the file, that over the default.
`promptreel settings` prints them all with their values and origins.

| variable | default | meaning |
| --- | --- | --- |
"""


def page() -> str:
    """The page as it should be."""
    loaded = load(environment={"XDG_DATA_HOME": "~/.local/share"})
    rows = []
    for row in shown(loaded):
        default = "`~/.local/share/promptreel`" if row.name == "data" else f"`{row.value}`"
        rows.append(f"| `{PREFIX}{row.name.upper()}` | {default} | {row.meaning} |\n")
    return HEAD + "".join(rows)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
