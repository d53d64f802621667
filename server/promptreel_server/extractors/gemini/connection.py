"""An open connection to one Gemini model: the client, its uploads, what shows segments to it."""

import asyncio
import logging
from dataclasses import dataclass
from functools import partial

import httpx2
from google import genai
from google.genai import types

from promptreel_server.extractors.gemini.chat import GeminiChat, GeminiLine
from promptreel_server.extractors.gemini.failures import gemini_failures
from promptreel_server.extractors.gemini.media import GeminiMedia, Shown
from promptreel_server.extractors.gemini.uploads import Uploads
from promptreel_server.extractors.provider_options import GeminiOptions
from promptreel_server.media.process.ffmpeg import Ffmpeg

log = logging.getLogger(__name__)

_CLOSING_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True)
class GeminiConnection:
    """What is open; made by `connect`, ended by `close`."""

    client: genai.Client
    http: httpx2.AsyncClient
    uploads: Uploads
    media: GeminiMedia
    line: GeminiLine

    def chat(self, shown: Shown | None = None) -> GeminiChat:
        """Answer what asks about a segment that is shown, or about nothing but words."""
        return GeminiChat(line=self.line, shown=shown)

    async def close(self) -> None:
        """Delete what is still uploaded and close the connections."""
        try:
            async with asyncio.timeout(_CLOSING_SECONDS):
                await self.uploads.close()
        except TimeoutError:
            log.warning("uploads to Gemini are left to expire: deleting them took too long")
        await self.client.aio.aclose()
        self.client.close()
        await self.http.aclose()


def connect(model: str, options: GeminiOptions, ffmpeg: Ffmpeg) -> GeminiConnection:
    """Make a client, its own retries off; it reads certificates, so call this in a thread."""
    http = httpx2.AsyncClient(
        timeout=options.call_seconds,
        limits=httpx2.Limits(max_connections=None, max_keepalive_connections=64),
    )
    client = genai.Client(
        vertexai=False,
        api_key=options.api_key,
        http_options=types.HttpOptions(
            base_url=options.base_url,
            timeout=round(options.call_seconds * 1000),
            httpx_async_client=http,
        ),
    )
    told_apart = partial(
        gemini_failures, secret=options.api_key or "", seconds=options.call_seconds
    )
    uploads = Uploads(client.aio.files, told_apart)
    return GeminiConnection(
        client=client,
        http=http,
        uploads=uploads,
        media=GeminiMedia(uploads, ffmpeg, fps=options.fps),
        line=GeminiLine(client=client.aio, model=model, options=options),
    )
