"""What of a segment is put before Gemini: a stretch of the uploaded video, its sound, a picture."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from google.genai import types

from promptreel_server.domain.media import MediaType
from promptreel_server.errors import MediaUnavailable, MediaUnreadable
from promptreel_server.extractors.chat.frames import AT_ONCE, Frames
from promptreel_server.extractors.extractor import ExtractionRequest
from promptreel_server.extractors.gemini.uploads import Upload, Uploads
from promptreel_server.extractors.provider_options import MOST_FPS
from promptreel_server.media.process.child import Limits, complete
from promptreel_server.media.process.ffmpeg import Ffmpeg, opened

INLINE_BYTES = 4 << 20
"""A video whose segments together would send no more than this is not uploaded."""
_LEAST_FRAMES = 2
_FRAMES = 8
"""Frames of a segment of a video in a container that Gemini does not read."""
_PICTURE_SIDE = 2048
_SOUND_RATE = 16_000
"""What the model itself hears at."""
_MOST_SOUND_BYTES = 16 << 20

_MIME_TYPES = {
    "mov": "video/mp4",
    "mp4": "video/mp4",
    "matroska": "video/webm",
    "webm": "video/webm",
    "avi": "video/avi",
    "mpeg": "video/mpeg",
    "mpegts": "video/mpeg",
    "flv": "video/x-flv",
    "asf": "video/wmv",
}
"""By the first name of the demuxer. Matroska is what WebM is a part of, and is not on their list
under its own name."""


@dataclass(frozen=True, kw_only=True)
class Shown:
    """Parts of a request, what they are in words, and the upload that they refer to."""

    parts: tuple[types.Part, ...]
    words: str
    upload: Upload | None = None


class GeminiMedia:
    """Puts segments before the model so that the bytes of a media item travel once."""

    def __init__(self, uploads: Uploads, ffmpeg: Ffmpeg, *, fps: float) -> None:
        self._uploads = uploads
        self._ffmpeg = ffmpeg
        self._frames = Frames(ffmpeg, longest_side=_PICTURE_SIDE)
        self._cutting = asyncio.Semaphore(AT_ONCE)
        self._fps = fps

    async def prepare(self, request: ExtractionRequest) -> None:
        """Upload what `shown` would, so that it finds it there; raises OperationFailure."""
        mime_type = _mime_type(request)
        if mime_type is not None and not self._fits(request):
            key = (request.run_id, request.video_id)
            async with self._uploads.held(key, request.path, mime_type):
                return

    @asynccontextmanager
    async def shown(self, request: ExtractionRequest) -> AsyncIterator[Shown]:
        """Show one segment for the length of the block.

        Raises:
            OperationFailure: it can't be read, or not be uploaded.
        """
        mime_type = _mime_type(request)
        if request.facts.media_type is MediaType.AUDIO:
            async with self._cutting:
                sound = await _sound(self._ffmpeg, request)
            part = types.Part.from_bytes(data=sound, mime_type="audio/flac")
            yield Shown(parts=(part,), words="Its sound is attached.")
        elif mime_type is None:
            yield await self._pictured(request)
        elif self._fits(request):
            data = _read(request.path)
            blob = types.Blob(data=data, mime_type=mime_type)
            yield _clip(types.Part(inline_data=blob, video_metadata=self._stretch(request)))
        else:
            key = (request.run_id, request.video_id)
            async with self._uploads.held(key, request.path, mime_type) as upload:
                file = types.FileData(file_uri=upload.uri, mime_type=upload.mime_type)
                part = types.Part(file_data=file, video_metadata=self._stretch(request))
                yield _clip(part, upload)

    async def _pictured(self, request: ExtractionRequest) -> Shown:
        taken = await self._frames.of(request, _FRAMES)
        if not taken:
            raise MediaUnreadable("No picture of the segment can be decoded.")
        parts = tuple(types.Part.from_bytes(data=f.jpeg, mime_type="image/jpeg") for f in taken)
        if request.facts.media_type is MediaType.IMAGE:
            return Shown(parts=parts, words="It is attached.")
        times = ", ".join(f"{frame.at:.1f}" for frame in taken)
        return Shown(parts=parts, words=f"Frames of it at seconds {times} are attached.")

    def _fits(self, request: ExtractionRequest) -> bool:
        """Whether sending the bytes with every segment costs no more than an upload would."""
        if self._uploads.has((request.run_id, request.video_id)):
            return False
        lasting = max(request.end - request.start, 0.001)
        segments = max(round(float(request.facts.duration) / lasting), 1)
        try:
            size = request.path.stat().st_size
        except OSError as error:
            raise MediaUnavailable(f"The media can't be read: {error.strerror}.") from error
        return size * segments <= INLINE_BYTES

    def _stretch(self, request: ExtractionRequest) -> types.VideoMetadata:
        """The segment on the clock of the file, which begins at 0 whatever the container says."""
        begins = float(request.facts.start)
        lasting = max(request.end - request.start, 0.001)
        return types.VideoMetadata(
            start_offset=f"{max(request.start - begins, 0.0):.3f}s",
            end_offset=f"{max(request.end - begins, 0.0):.3f}s",
            fps=min(max(self._fps, _LEAST_FRAMES / lasting), MOST_FPS),
        )


def _mime_type(request: ExtractionRequest) -> str | None:
    """What Gemini calls the video; None for what is no video, or none that it reads."""
    facts = request.facts
    if facts.media_type is not MediaType.VIDEO:
        return None
    return _MIME_TYPES.get(facts.container.partition(",")[0])


def _clip(part: types.Part, upload: Upload | None = None) -> Shown:
    return Shown(parts=(part,), words="These seconds of it are attached.", upload=upload)


def _read(path: Path) -> bytes:
    with opened(path) as descriptor, open(descriptor, "rb", closefd=False) as file:
        return file.read()


async def _sound(ffmpeg: Ffmpeg, request: ExtractionRequest) -> bytes:
    """Cut the sound of a segment: the API takes offsets for pictures only."""
    facts = request.facts
    ahead = max(request.start - float(facts.start), 0.0)
    lasting = request.end - request.start
    limits = Limits(cpu_seconds=120, wall_seconds=180.0)
    with opened(request.path) as descriptor:
        source = ffmpeg.input(descriptor, ss=f"{ahead:.6f}", t=f"{lasting:.6f}")
        output = source[str(facts.audio_stream)].output(
            "pipe:1", format="flac", ac=1, ar=_SOUND_RATE
        )
        run = await complete(
            ffmpeg.command(output),
            limits=limits,
            pass_fds=(descriptor,),
            most_output=_MOST_SOUND_BYTES,
        )
    if run.exceeded is not None or not run.stdout:
        raise MediaUnreadable("The sound of the segment can't be decoded.")
    return run.stdout
