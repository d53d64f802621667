"""Uploads as data: a header, then the bytes in chunks."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import SEEK_END, SEEK_SET
from pathlib import Path
from typing import BinaryIO

from promptreel.v2 import video_pb2
from promptreel_client.errors import InvalidRequestError

CHUNK_BYTES = 1024 * 1024

OnProgress = Callable[[int, int | None], None]
"""Told after every chunk: bytes sent so far, and bytes in all (None: not known)."""


@dataclass(frozen=True, kw_only=True)
class Upload:
    """A media item to send."""

    header: video_pb2.UploadVideoRequest
    file: Path | BinaryIO
    start: int | None
    """Where an open file stands, in bytes. None: it can't be sent a second time."""
    total: int | None
    """How many bytes there are to send. None: not known."""
    on_progress: OnProgress | None
    idempotency_key: str

    @property
    def repeatable(self) -> bool:
        """Whether it can be sent again from the first byte."""
        return self.start is not None

    @contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """Open the file at its first byte; one that came open stays open."""
        if isinstance(self.file, Path):
            with self.file.open("rb") as opened:
                yield opened
            return
        if self.start is not None:
            self.file.seek(self.start)
        yield self.file

    def told(self, sent: int) -> None:
        """Tell whoever wants to know how many bytes are sent."""
        if self.on_progress is not None:
            self.on_progress(sent, self.total)


def upload(
    file: str | Path | BinaryIO,
    *,
    title: str | None,
    index_id: str | None,
    on_progress: OnProgress | None,
    idempotency_key: str,
) -> Upload:
    """Prepare to send a file.

    Raises:
        InvalidRequestError: there is no such file, or nothing to call it by.
    """
    source = Path(file) if isinstance(file, str | Path) else file
    name = Path(str(getattr(source, "name", ""))).name
    if not (title or name):
        raise InvalidRequestError.of_field("title", "is needed for a file that has no name")
    start, total = _extent(source)
    header = video_pb2.UploadHeader(title=title or name, index_id=index_id, file_name=name)
    return Upload(
        header=video_pb2.UploadVideoRequest(header=header),
        file=source,
        start=start,
        total=total,
        on_progress=on_progress,
        idempotency_key=idempotency_key,
    )


def _extent(source: Path | BinaryIO) -> tuple[int | None, int | None]:
    """Answer where a file's bytes start and how many there are, None for what can't be told."""
    if isinstance(source, Path):
        try:
            return 0, source.stat().st_size
        except OSError as error:
            raise InvalidRequestError.of_field("file", f"can't be read: {error}") from error
    if not source.seekable():
        return None, None
    start = source.tell()
    end = source.seek(0, SEEK_END)
    source.seek(start, SEEK_SET)
    return start, end - start
