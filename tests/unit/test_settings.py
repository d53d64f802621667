"""Settings know their origins, refuse what they can't mean, and hide secrets."""

from pathlib import Path

import pytest

from promptreel_server.errors import Invalid
from promptreel_server.settings import load, shown
from tools.settings_page import PAGE, page


def test_an_option_wins_over_the_environment_that_over_the_file_that_over_the_default(
    tmp_path: Path,
) -> None:
    (tmp_path / "promptreel.toml").write_text("rest_port = 1\ngrpc_port = 2\nlog_level = 'DEBUG'\n")
    environment = {
        "PROMPTREEL_DATA": str(tmp_path),
        "PROMPTREEL_REST_PORT": "3",
        "PROMPTREEL_GRPC_PORT": "4",
    }
    loaded = load({"rest_port": 5, "host": None}, environment)
    settings, origins = loaded.settings, loaded.origins
    assert (settings.rest_port, origins["rest_port"]) == (5, "option")
    assert (settings.grpc_port, origins["grpc_port"]) == (4, "PROMPTREEL_GRPC_PORT")
    assert settings.log_level == "DEBUG"
    assert origins["log_level"] == str(tmp_path / "promptreel.toml")
    assert (settings.host, origins["host"]) == ("127.0.0.1", "default")


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("PROMPTREEL_REST_PORT", "eighty"),
        ("PROMPTREEL_GATEWAY", "perhaps"),
        ("PROMPTREEL_HEARTBEAT_SECONDS", "soon"),
        ("PROMPTREEL_HEARTBEAT_SECONDS", "61"),
        ("PROMPTREEL_LOG_LEVEL", "nonsense"),
        ("PROMPTREEL_MEDIA_AT_ONCE", "0"),
    ],
)
def test_a_value_of_another_kind_is_refused_by_its_name(variable: str, text: str) -> None:
    with pytest.raises(Invalid, match=variable):
        load(environment={variable: text})


def test_a_name_in_the_file_that_is_no_setting_is_refused(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text("colour = 'blue'\n")
    with pytest.raises(Invalid, match="colour"):
        load(environment={"PROMPTREEL_CONFIG": str(tmp_path / "own.toml")})


def test_folders_are_parted_as_the_path_is() -> None:
    loaded = load(environment={"PROMPTREEL_MEDIA_ROOTS": "/srv/a:/srv/b"})
    assert loaded.settings.media_roots == (Path("/srv/a"), Path("/srv/b"))


@pytest.mark.parametrize("variable", ["PROMPTREEL_GEMINI_API_KEY", "GOOGLE_API_KEY"])
def test_secrets_are_taken_and_never_shown(variable: str) -> None:
    loaded = load(environment={variable: "very-secret"})
    rows = {row.name: row for row in shown(loaded)}
    assert loaded.settings.gemini_api_key == "very-secret"
    assert rows["gemini_api_key"].value == "(hidden)"
    assert rows["gemini_api_key"].origin == variable
    assert "very-secret" not in repr(loaded)


def test_the_page_of_settings_says_what_the_settings_say() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "python -m tools.settings_page writes it"
