"""Local media are found below their roots and nowhere else."""

import os
from pathlib import Path

import pytest

from promptreel_server.errors import Invalid, MediaUnavailable
from promptreel_server.media.library import opened_below, resolve_uri, safe_title


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A media root with a clip in it, beside a secret."""
    (tmp_path / "media" / "day one").mkdir(parents=True)
    (tmp_path / "media" / "day one" / "clip ä.mp4").write_bytes(b"clip")
    (tmp_path / "secret.mp4").write_bytes(b"secret")
    (tmp_path / "media2").mkdir()
    (tmp_path / "media2" / "other.mp4").write_bytes(b"other")
    return tmp_path / "media"


def test_a_file_below_a_root_is_found(root: Path) -> None:
    uri = f"file://{root}/day%20one/clip%20%C3%A4.mp4"
    found = resolve_uri(uri, [Path("/srv/else"), root])
    assert found.read_bytes() == b"clip"
    assert resolve_uri(uri.replace("file://", "file://localhost"), [root]) == found


@pytest.mark.parametrize(
    "uri",
    [
        "file://{root}/../secret.mp4",
        "file://{root}/%2e%2e/secret.mp4",
        "file://{root}/%2E%2E%2Fsecret.mp4",
        "file://{root}/day%20one/%252e%252e/%252e%252e/secret.mp4",
        "file://{root}2/other.mp4",
        "file://{root}/gone.mp4",
        "file://{root}/day%20one",
        "file://{root}",
        "file:///etc/passwd",
        "file://elsewhere{root}/day%20one/clip%20%C3%A4.mp4",
        "file://{root}/day%20one/clip%20%C3%A4.mp4?x=1",
        "file://{root}/day%20one/clip%20%C3%A4.mp4#t=1",
        "file:day%20one/clip%20%C3%A4.mp4",
        "file://{root}/clip%00.mp4",
        "file://{root}/%ff.mp4",
        "file://{root}/new\nline.mp4",
        "{root}/day one/clip ä.mp4",
        "http://127.0.0.1/clip.mp4",
        "file://[",
        "",
    ],
)
def test_what_is_not_a_file_below_a_root_is_refused_naming_what_is(uri: str, root: Path) -> None:
    with pytest.raises(Invalid, match="allowed are files below") as refused:
        resolve_uri(uri.format(root=root), [root])
    assert refused.value.violations[0].field == "video_uri"
    assert "secret" not in refused.value.message


def test_without_roots_nothing_is_allowed(root: Path) -> None:
    with pytest.raises(Invalid, match="no media roots are configured"):
        resolve_uri(f"file://{root}/day%20one/clip%20%C3%A4.mp4", [])


def test_a_link_out_of_the_root_is_refused_and_one_within_is_followed(root: Path) -> None:
    (root / "out.mp4").symlink_to(root.parent / "secret.mp4")
    (root / "up").symlink_to(root.parent)
    (root / "in.mp4").symlink_to(root / "day one" / "clip ä.mp4")
    for name in ("out.mp4", "up/secret.mp4"):
        with pytest.raises(Invalid, match="no such file below a media root"):
            resolve_uri(f"file://{root}/{name}", [root])
    assert resolve_uri(f"file://{root}/in.mp4", [root]).name == "clip ä.mp4"


def test_a_link_to_itself_is_refused(root: Path) -> None:
    (root / "loop.mp4").symlink_to(root / "loop.mp4")
    with pytest.raises(Invalid, match="no such file"):
        resolve_uri(f"file://{root}/loop.mp4", [root])


def test_pipes_and_devices_are_no_media(root: Path) -> None:
    os.mkfifo(root / "pipe.mp4")
    with pytest.raises(Invalid, match="no such file"):
        resolve_uri(f"file://{root}/pipe.mp4", [root])


def test_a_missing_file_and_one_elsewhere_are_told_alike(root: Path) -> None:
    messages = set()
    for uri in ("file:///etc/passwd", "file:///etc/no-such-file"):
        with pytest.raises(Invalid) as refused:
            resolve_uri(uri, [root])
        messages.add(refused.value.message)
    assert len(messages) == 1


def test_a_found_file_is_opened(root: Path) -> None:
    path = resolve_uri(f"file://{root}/day%20one/clip%20%C3%A4.mp4", [root])
    with opened_below(path, [root]) as descriptor:
        assert os.read(descriptor, 10) == b"clip"


def test_a_folder_that_became_a_link_meanwhile_is_noticed(root: Path) -> None:
    (root / "secret.mp4").write_bytes(b"harmless")
    path = resolve_uri(f"file://{root}/secret.mp4", [root])
    root.rename(root.with_name("moved"))
    root.symlink_to(root.parent)
    with (
        pytest.raises(MediaUnavailable, match="no longer below"),
        opened_below(path, [root.parent / "moved"]),
    ):
        pass


def test_a_file_that_became_a_link_meanwhile_is_not_opened(root: Path) -> None:
    path = root / "clip.mp4"
    path.symlink_to(root.parent / "secret.mp4")
    with pytest.raises(MediaUnavailable), opened_below(path, [root]):
        pass


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("holiday.mp4", "holiday.mp4"),
        ("C:\\Users\\me\\holiday.mp4", "holiday.mp4"),
        ("../../etc/passwd", "passwd"),
        ("two  words\t.mp4", "two words.mp4"),
        ("cafe\u0301.mp4", "café.mp4"),
        ("\u202egnp.4pm", "gnp.4pm"),
        ("会議.mp4", "会議.mp4"),
        ("x" * 300, "x" * 255),
        ("", "untitled"),
        ("..", "untitled"),
        ("\0", "untitled"),
    ],
)
def test_a_file_name_makes_a_title(name: str, title: str) -> None:
    assert safe_title(name) == title
