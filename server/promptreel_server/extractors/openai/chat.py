"""One question to a model behind an OpenAI-compatible endpoint."""

import asyncio
import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import httpx2

from promptreel_server.errors import FailureCode, ModelFailure
from promptreel_server.extractors.chat.chat import Completion, Messages
from promptreel_server.extractors.chat.frames import Frame
from promptreel_server.extractors.chat.http_failures import Refusal, redacted, refused, told_apart
from promptreel_server.extractors.json_schema.compiled import CompiledSchema
from promptreel_server.extractors.openai.answers import completion
from promptreel_server.extractors.openai.response_formats import Formats, response_format

OUTPUT_TOKENS = 2048
"""Tokens of an answer, doubled after one that was cut off: small models have small contexts."""
_MOST_WAYS = 4
"""Ways in which one question is put: three formats, two names of the token limit."""
_MOST_ANSWER_BYTES = 8 << 20


@dataclass(frozen=True, kw_only=True)
class OpenAiLine:
    """An open connection to one model. `name` is what messages call the endpoint."""

    http: httpx2.AsyncClient
    url: str
    name: str
    model: str
    secret: str | None = field(repr=False)
    call_seconds: float
    formats: Formats = field(default_factory=Formats)


@dataclass(frozen=True, kw_only=True)
class OpenAiChat:
    """The Chat port about one segment, by a few of its frames, or about nothing but words."""

    line: OpenAiLine
    frames: Sequence[Frame] = ()

    async def complete(
        self, messages: Messages, schema: CompiledSchema, *, limit_factor: int, attempt: int
    ) -> Completion:
        """Answer by one call; one in a form that the endpoint refuses is put again in another."""
        formats = self.line.formats
        for _ in range(_MOST_WAYS):
            try:
                return await self._call(self._body(messages, schema, limit_factor))
            except ModelFailure as failure:
                if not formats.learn(schema, failure):
                    raise
        return await self._call(self._body(messages, schema, limit_factor))

    async def _call(self, body: dict[str, Any]) -> Completion:
        line = self.line
        with told_apart(line.name, seconds=line.call_seconds):
            async with asyncio.timeout(line.call_seconds):
                status, reason, headers, content = await self._post(body)
        answer = _parsed(redacted(content.decode("utf-8", "replace"), line.secret))
        refusal = Refusal(
            provider=line.name, status=status, reason=reason, body=answer, headers=headers
        )
        if status == 200 and refusal.error:  # some routers answer errors of others so
            code = refusal.error.get("code")
            meant = code if isinstance(code, int) and code >= 400 else 502
            raise refused(replace(refusal, status=meant, reason=""), secret=line.secret)
        if not 200 <= status < 300:
            raise refused(refusal, secret=line.secret)
        return completion(answer, line.name)

    async def _post(self, body: dict[str, Any]) -> tuple[int, str, dict[str, str], bytes]:
        """Send a request; answers status, its phrase, headers and content."""
        line = self.line
        bearer = {"Authorization": f"Bearer {line.secret}"} if line.secret else {}
        content = bytearray()
        async with line.http.stream("POST", line.url, json=body, headers=bearer) as response:
            async for piece in response.aiter_bytes():
                content += piece
                if len(content) > _MOST_ANSWER_BYTES:
                    said = f"{line.name} answered more than {_MOST_ANSWER_BYTES} bytes"
                    raise ModelFailure(FailureCode.MODEL_UNAVAILABLE, said)
            headers = dict(response.headers.items())
            return response.status_code, response.reason_phrase, headers, bytes(content)

    def _body(
        self, messages: Messages, schema: CompiledSchema, limit_factor: int
    ) -> dict[str, Any]:
        formats = self.line.formats
        asked: dict[str, Any] = {
            "model": self.line.model,
            "messages": self._messages(messages),
            formats.limit_name: OUTPUT_TOKENS * limit_factor,
        }
        held = response_format(schema, formats.of(schema))
        return asked if held is None else asked | {"response_format": held}

    def _messages(self, messages: Messages) -> list[dict[str, Any]]:
        """The conversation, with the frames ahead of the first words about them."""
        said: list[dict[str, Any]] = [dict(message) for message in messages]
        if not self.frames:
            return said
        first = next(message for message in said if message["role"] == "user")
        pictures = [{"type": "image_url", "image_url": {"url": _url(f)}} for f in self.frames]
        first["content"] = [*pictures, {"type": "text", "text": first["content"]}]
        return said


def _url(frame: Frame) -> str:
    return f"data:image/jpeg;base64,{base64.b64encode(frame.jpeg).decode('ascii')}"


def _parsed(text: str) -> Any:
    """The JSON of an answer; None where it is something else, such as a page of HTML."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
