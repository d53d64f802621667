"""The Gemini extractor: segments by offsets into media that is uploaded once."""

import asyncio
import re
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from promptreel_server.domain.prompt import JsonObject
from promptreel_server.errors import FailureCode, OperationFailure, Unavailable, UnknownModel
from promptreel_server.extractors.chat.prompts import Interview
from promptreel_server.extractors.extractor import Extraction, ExtractionRequest, SynthesisRequest
from promptreel_server.extractors.gemini.schema import holds_whole
from promptreel_server.extractors.provider_options import MOST_FPS, GeminiOptions
from promptreel_server.media.process.ffmpeg import Ffmpeg

if TYPE_CHECKING:
    from promptreel_server.extractors.gemini.connection import GeminiConnection

MOST_NOTES = 200_000
"""Characters of notes in one prompt: far within the context of every model."""
RESOLUTIONS = ("default", "low", "medium", "high")
_NAME = re.compile(r"gemini-[a-z0-9][a-z0-9.\-]{0,80}")


class GeminiExtractor:
    """The Extractor port over google-genai, its own retries off.

    Raises UnknownModel where the name can't be one, Unavailable where key or settings are missing
    or can't be meant; the message names the setting.
    """

    def __init__(self, model: str, *, options: GeminiOptions, ffmpeg: Ffmpeg) -> None:
        if not _NAME.fullmatch(model):
            raise UnknownModel(f'processing_model: "{model[:100]}" is no name of a Gemini model')
        _check(options)
        self.model = model
        self.generation = (
            f"{options.base_url or ''} fps={options.fps:g} {options.media_resolution} "
            f"thinking={options.thinking_budget}"
        )
        self._options = options
        self._ffmpeg = ffmpeg
        self._opened: GeminiConnection | None = None
        self._opening = asyncio.Lock()
        self._interview = Interview(
            model=model, most=MOST_NOTES, spelled_out=lambda schema: not holds_whole(schema.schema)
        )

    def refuse(self, json_schema: JsonObject) -> str | None:
        """None: what Gemini does not hold its answers to is spelled out to it and checked here."""

    def prepare(self, request: ExtractionRequest) -> Coroutine[Any, Any, None] | None:
        """Upload the media item, where it is to be uploaded and is not yet."""
        key = (request.run_id, request.video_id)
        if self._opened is not None and self._opened.uploads.stands(key):
            return None
        return self._prepare(request)

    async def extract(self, request: ExtractionRequest) -> Extraction:
        """Ask about one segment."""
        key = (request.run_id, request.video_id)
        try:
            opened = await self._open()
            async with opened.media.shown(request) as shown:
                extraction = await self._interview.about_segment(
                    opened.chat(shown), request, shown.words
                )
                failure = extraction.failure
                if shown.upload is None:
                    return extraction
                if failure is None:
                    opened.uploads.proved(key)
                elif failure.failure_code is FailureCode.MEDIA_UNAVAILABLE:
                    opened.uploads.lost(key, shown.upload)
                return extraction
        except OperationFailure as failure:
            return Extraction(failure=failure)

    async def synthesize(self, request: SynthesisRequest) -> Extraction:
        """Ask about the whole, from what the segments yielded."""
        opened = await self._open()
        return await self._interview.about_whole(opened.chat(), request)

    async def release(self, run_id: str, video_id: str) -> None:
        """Delete the upload of a media item of a run."""
        if self._opened is not None:
            await self._opened.uploads.release((run_id, video_id))

    async def close(self) -> None:
        """Delete what is still uploaded and close the connections."""
        opened, self._opened = self._opened, None
        if opened is not None:
            await opened.close()

    async def _prepare(self, request: ExtractionRequest) -> None:
        opened = await self._open()
        await opened.media.prepare(request)

    async def _open(self) -> "GeminiConnection":
        """Open the connection once, in a thread."""
        async with self._opening:
            if self._opened is None:
                self._opened = await asyncio.to_thread(self._connect)
            return self._opened

    def _connect(self) -> "GeminiConnection":
        # imported here, in the thread: it takes half a second
        from promptreel_server.extractors.gemini.connection import connect

        return connect(self.model, self._options, self._ffmpeg)


def _check(options: GeminiOptions) -> None:
    if not options.api_key:
        raise Unavailable(
            "gemini_api_key is not set: give Gemini's key as PROMPTREEL_GEMINI_API_KEY, "
            "GEMINI_API_KEY or GOOGLE_API_KEY"
        )
    if not 0 < options.fps <= MOST_FPS:
        raise Unavailable(f"gemini_fps must be over 0 and at most {MOST_FPS:g}")
    if options.media_resolution not in RESOLUTIONS:
        raise Unavailable(f"gemini_media_resolution must be one of {', '.join(RESOLUTIONS)}")
    if options.base_url and not options.base_url.startswith(("http://", "https://")):
        raise Unavailable("gemini_base_url must begin with https:// or http://")
