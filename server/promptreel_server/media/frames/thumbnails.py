"""Where pictures made of media are kept: one folder a media item, so that it goes in one step."""

import asyncio
import os
import shutil
from pathlib import Path


class Thumbnails:
    """Thumbnails of segments and preview GIFs of media items, below one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def thumbnail_path(self, video_id: str, segment_id: str) -> Path:
        """Where the thumbnail of a segment is, or would be: a JPEG."""
        return self._folder / video_id / f"{segment_id}.jpg"

    def gif_path(self, video_id: str) -> Path:
        """Where the preview GIF of a media item is, or would be."""
        return self._folder / video_id / "preview.gif"

    async def read(self, path: Path) -> bytes | None:
        """Answer what is kept at a path, None where nothing is."""
        return await asyncio.to_thread(_read, path)

    async def write(self, path: Path, data: bytes) -> None:
        """Keep a picture; nobody ever sees half of it."""
        await asyncio.to_thread(_write, path, data)

    async def remove(self, video_id: str) -> None:
        """Remove all pictures of a media item."""
        await asyncio.to_thread(shutil.rmtree, self._folder / video_id, ignore_errors=True)

    def owners(self) -> list[str]:
        """Name the media items that have pictures here."""
        if not self._folder.is_dir():
            return []
        return sorted(entry.name for entry in self._folder.iterdir() if entry.is_dir())


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.{id(data)}")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
