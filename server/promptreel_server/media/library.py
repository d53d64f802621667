"""Local media that may be named by URI, and titles made of file names."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import SplitResult, unquote_to_bytes, urlsplit

from promptreel_server.errors import Invalid, MediaUnavailable
from promptreel_server.media.process.ffmpeg import opened

LONGEST_TITLE = 255
_FIELD = "video_uri"


def resolve_uri(uri: str, roots: Sequence[Path]) -> Path:
    """Find the regular file that a `file://` URI names below one of the media roots.

    Links are followed first and the file they lead to must lie below a root; the answer has no
    link left in it; open it with `opened_below`. Blocking, so call it in a thread. Raises
    errors.Invalid that says what is allowed, the same where a file is missing and where it is
    elsewhere.
    """
    allowed = _allowed(roots)
    parts = _split(uri, allowed)
    if parts.scheme != "file" or not roots:
        raise Invalid.field(_FIELD, f"the address is not allowed; {allowed}")
    if parts.netloc not in ("", "localhost") or parts.query or parts.fragment:
        raise Invalid.field(_FIELD, f"a file address is file:///path and no more; {allowed}")
    named = _path_of(parts.path, allowed)
    try:
        real = named.resolve(strict=True)
        below = any(real.is_relative_to(root.resolve()) for root in roots)
        is_file = below and real.is_file()
    except (OSError, RuntimeError) as error:
        raise Invalid.field(_FIELD, f"there is no such file below a media root; {allowed}") from (
            error
        )
    if not is_file:
        raise Invalid.field(_FIELD, f"there is no such file below a media root; {allowed}")
    return real


@contextmanager
def opened_below(path: Path, roots: Sequence[Path]) -> Iterator[int]:
    """Open a file that `resolve_uri` found and answer its descriptor, looking again at what it is.

    A folder on the way may have become a link meanwhile: what counts is where the open file lies.
    Raises errors.MediaUnavailable where it is gone or elsewhere now.
    """
    with opened(path) as descriptor:
        real = Path(f"/proc/self/fd/{descriptor}").readlink()
        if not any(real.is_relative_to(root.resolve()) for root in roots):
            raise MediaUnavailable("The media is no longer below a media root.")
        yield descriptor


def safe_title(filename: str) -> str:
    """Make a title of the name a file came with: its last part, printable, 1 to 255 characters.

    It is for people only and never becomes a path.
    """
    name = re.split(r"[/\\]", filename)[-1]
    seen = "".join(c for c in unicodedata.normalize("NFC", name) if _is_visible(c))
    title = " ".join(seen.split())[:LONGEST_TITLE].strip(" .")
    return title or "untitled"


def _allowed(roots: Sequence[Path]) -> str:
    if not roots:
        return "no media roots are configured, so media must be uploaded"
    folders = ", ".join(f"file://{root}/" for root in roots)
    return f"allowed are files below {folders}"


def _split(uri: str, allowed: str) -> SplitResult:
    if not uri.isprintable() or not uri.isascii() or " " in uri:
        raise Invalid.field(_FIELD, f"the address must be percent-encoded ASCII; {allowed}")
    try:
        return urlsplit(uri)
    except ValueError as error:
        raise Invalid.field(_FIELD, f"the address is malformed; {allowed}") from error


def _path_of(encoded: str, allowed: str) -> Path:
    """Decode a path once; raises errors.Invalid where that hides something."""
    raw = unquote_to_bytes(encoded)
    try:
        path = Path(raw.decode())
    except UnicodeDecodeError as error:
        raise Invalid.field(_FIELD, f"the path is not UTF-8; {allowed}") from error
    if b"\0" in raw or not path.is_absolute() or ".." in path.parts:
        raise Invalid.field(_FIELD, f"the path must be absolute and without ..; {allowed}")
    return path


def _is_visible(character: str) -> bool:
    """Whether a character shows as itself: no control, direction mark, surrogate or unassigned."""
    return unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
