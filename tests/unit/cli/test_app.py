"""The command as a shell sees it: exit codes, stdout, stderr."""

import subprocess
import sys
from collections.abc import Callable

import pytest
from typer import Typer

from promptreel_client import errors
from promptreel_client.cli import extensions, lazy
from promptreel_client.cli.app import main
from promptreel_client.cli.contents import CONTENTS
from promptreel_client.cli.exits import Exit, exit_for


def exit_code(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return int(ended.value.code or 0)


def serve_as(monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]) -> None:
    """Have `promptreel serve` do this."""
    monkeypatch.setattr(lazy, "load_extension", lambda name: act)


def raising(error: BaseException) -> Callable[[], None]:
    def act() -> None:
        raise error

    return act


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("--help") == 0

    shown = capsys.readouterr().out
    assert all(f"\n  {name} " in shown for name in CONTENTS)


@pytest.mark.parametrize(
    "name", [name for name, entry in CONTENTS.items() if entry.place is not None]
)
def test_each_command_of_the_client_loads_and_explains_itself(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(name, "--help") == 0
    assert f"Usage: promptreel {name}" in capsys.readouterr().out


def test_help_loads_neither_grpc_nor_rich_nor_the_server() -> None:
    code = (
        "import sys\n"
        "from promptreel_client.cli.app import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: print(sorted({name.partition('.')[0] for name in sys.modules}))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    loaded = done.stdout.splitlines()[-1]
    assert "'typer'" in loaded
    assert not [
        name for name in ("grpc", "google", "rich", "promptreel_server") if f"'{name}'" in loaded
    ]


def test_an_unknown_command_is_a_usage_error_that_suggests_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert exit_code("runz") == Exit.USAGE
    assert "Did you mean" in capsys.readouterr().err


def test_an_unknown_option_is_a_usage_error() -> None:
    assert exit_code("runs", "--colour") == Exit.USAGE


def test_run_wants_one_kind_of_target(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code("run", "prompt_1", "--playground", "--index", "index_1") == Exit.USAGE
    assert "one kind of target" in capsys.readouterr().err


def test_without_a_key_the_command_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("PROMPTREEL_API_KEY", raising=False)

    assert exit_code("runs") == Exit.ERROR
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("promptreel: ")
    assert "PROMPTREEL_API_KEY" in said.err


def test_what_the_server_refuses_is_one_sentence_with_the_request_id(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    error = errors.NotFoundError("There is no run run_9.", request_id="req_7")
    serve_as(monkeypatch, raising(error))

    assert exit_code("serve") == Exit.ERROR
    assert capsys.readouterr().err == "promptreel: There is no run run_9. (request req_7)\n"


def test_a_module_that_is_not_installed_is_named_with_its_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    serve_as(monkeypatch, raising(ModuleNotFoundError("gone", name="sqlalchemy.ext")))

    assert exit_code("serve") == Exit.ERROR
    assert capsys.readouterr().err == (
        "promptreel: this needs sqlalchemy, which is not installed;"
        " install it with: pip install 'promptreel[server]'\n"
    )


def test_a_missing_module_of_ours_is_a_bug_and_shown_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    serve_as(monkeypatch, raising(ModuleNotFoundError("gone", name="promptreel_server.gone")))

    with pytest.raises(ModuleNotFoundError):
        main(["serve"])


def test_a_command_nobody_brings_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(extensions, "GROUP", "promptreel.nobody")

    assert exit_code("serve") == Exit.ERROR
    assert "pip install 'promptreel[server]'" in capsys.readouterr().err


def test_ctrl_c_exits_130(monkeypatch: pytest.MonkeyPatch) -> None:
    serve_as(monkeypatch, raising(KeyboardInterrupt()))

    assert exit_code("serve") == Exit.INTERRUPTED


def test_an_app_of_the_server_keeps_its_own_commands(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    app = Typer(help="Keys.")

    @app.command()
    def create(name: str) -> None:
        print(f"made {name}")

    @app.command()
    def revoke() -> None:
        print("revoked")

    monkeypatch.setattr(lazy, "load_extension", lambda name: app)

    assert exit_code("keys", "create", "ci") == 0
    assert capsys.readouterr().out == "made ci\n"


@pytest.mark.parametrize(
    ("status", "code"),
    [("completed", 0), ("completed_with_failures", 3), ("failed", 1), ("cancelled", 1)],
)
def test_the_end_of_a_run_decides_the_exit_code(status: str, code: int) -> None:
    assert exit_for(status) == code
