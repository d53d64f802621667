"""The extractor for any endpoint that speaks OpenAI's chat completions: frames and transcript."""

import asyncio
from urllib.parse import urlsplit

import httpx2

from promptreel_server.domain.media import MediaType
from promptreel_server.domain.prompt import JsonObject
from promptreel_server.errors import OperationFailure, Unavailable, UnknownModel
from promptreel_server.extractors.chat.frames import Frame, Frames
from promptreel_server.extractors.chat.prompts import Interview
from promptreel_server.extractors.extractor import Extraction, ExtractionRequest, SynthesisRequest
from promptreel_server.extractors.json_schema.compiled import compiled
from promptreel_server.extractors.openai.chat import OpenAiChat, OpenAiLine
from promptreel_server.extractors.provider_options import OpenAiOptions
from promptreel_server.media.process.ffmpeg import Ffmpeg

PREFIX = "openai:"
OPENAI = "https://api.openai.com/v1"
_FRAME_SIDE = 768
_MOST_FRAMES = 32
_LONGEST_NAME = 200


class OpenAiExtractor:
    """The Extractor port over HTTP.

    Raises UnknownModel where no model is named, Unavailable where neither an address nor a key is
    set, or one that can't be meant; the message names the setting.
    """

    def __init__(self, model: str, *, options: OpenAiOptions, ffmpeg: Ffmpeg) -> None:
        name = model.removeprefix(PREFIX).strip()
        if not name or len(name) > _LONGEST_NAME or not name.isprintable():
            raise UnknownModel(f'processing_model: "{model[:100]}" names no model after "{PREFIX}"')
        self.model = model
        self._options = options
        self._name = name
        self._url = _address(options)
        self.generation = f"{self._url} frames={options.frames}"
        self._frames = Frames(ffmpeg, longest_side=_FRAME_SIDE)
        self._line: OpenAiLine | None = None
        self._opening = asyncio.Lock()
        self._interview = Interview(model=model, most=options.prompt_characters)

    def refuse(self, json_schema: JsonObject) -> str | None:
        """Say that the schema leaves no room in the prompt that spells it out, or None."""
        length, most = len(compiled(json_schema).text), self._options.prompt_characters
        if length > most:
            return (
                f"the schema has {length} characters; at most {most} fit into a prompt "
                "(the setting openai_prompt_characters)"
            )
        return None

    def prepare(self, request: ExtractionRequest) -> None:
        """Nothing is needed ahead of a call."""

    async def extract(self, request: ExtractionRequest) -> Extraction:
        """Ask about one segment, by a few of its frames and what is said in it."""
        try:
            taken = await self._frames.of(request, self._options.frames)
        except OperationFailure as failure:
            return Extraction(failure=failure)
        chat = OpenAiChat(line=await self._open(), frames=taken)
        return await self._interview.about_segment(chat, request, _words(request, taken))

    async def synthesize(self, request: SynthesisRequest) -> Extraction:
        """Ask about the whole, from what the segments yielded."""
        return await self._interview.about_whole(OpenAiChat(line=await self._open()), request)

    async def release(self, run_id: str, video_id: str) -> None:
        """Nothing is kept for a run."""

    async def close(self) -> None:
        """Close the connections."""
        line, self._line = self._line, None
        if line is not None:
            await line.http.aclose()

    async def _open(self) -> OpenAiLine:
        """Open the client, in a thread: it reads certificates."""
        async with self._opening:
            if self._line is None:
                self._line = await asyncio.to_thread(self._connect)
            return self._line

    def _connect(self) -> OpenAiLine:
        seconds = self._options.call_seconds
        return OpenAiLine(
            http=httpx2.AsyncClient(
                timeout=httpx2.Timeout(seconds, connect=min(seconds, 20.0)),
                limits=httpx2.Limits(max_connections=None, max_keepalive_connections=64),
            ),
            url=f"{self._url}/chat/completions",
            name=urlsplit(self._url).hostname or "the endpoint",
            model=self._name,
            secret=self._options.api_key,
            call_seconds=seconds,
        )


def _address(options: OpenAiOptions) -> str:
    if not 0 <= options.frames <= _MOST_FRAMES:
        raise Unavailable(f"openai_frames must be between 0 and {_MOST_FRAMES}")
    if options.base_url is None and not options.api_key:
        raise Unavailable(
            "openai_base_url is not set: give the address of the endpoint as "
            "PROMPTREEL_OPENAI_BASE_URL, or a key of OpenAI's as PROMPTREEL_OPENAI_API_KEY"
        )
    address = (options.base_url or OPENAI).rstrip("/")
    if not address.startswith(("http://", "https://")) or not urlsplit(address).hostname:
        raise Unavailable(
            "openai_base_url must be an address like http://127.0.0.1:11434/v1 or "
            "https://api.openai.com/v1"
        )
    return address


def _words(request: ExtractionRequest, taken: list[Frame]) -> str:
    if not taken:
        return "No picture of it is attached."
    if request.facts.media_type is MediaType.IMAGE:
        return "It is attached."
    times = ", ".join(f"{frame.at:.1f}" for frame in taken)
    return f"Frames of it at seconds {times} are attached."
