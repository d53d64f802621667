"""A stand-in for endpoints that speak OpenAI's chat completions, with their differences."""

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from promptreel_server.extractors.json_schema.compiled import sample
from tests.stand_ins.wire import Asked, Reply, reply, served

KEY = "sk-stand-in-key-0123456789"
Answer = Mapping[str, Any]
Fault = Callable[[Answer], Reply]


def failing(status: int, message: str, code: str | None = None, **headers: str) -> Fault:
    said = {"message": message, "type": "some_error", "code": code}
    return lambda _good: reply({"error": said}, status, **headers)


def html(status: int) -> Fault:
    return lambda _good: Reply(status=status, body=b"<html>Bad gateway</html>")


def reset(_good: Answer) -> Reply:
    return Reply(reset=True)


def late(seconds: float) -> Fault:
    return lambda good: replace(reply(good), delay=seconds)


def ended(reason: str, text: str | None = None, **message: Any) -> Fault:
    """A choice that ended for this reason, with this text or the whole good one."""

    def end(good: Answer) -> Reply:
        choice = dict(good["choices"][0]) | {"finish_reason": reason}
        said = choice["message"]["content"] if text is None else text
        choice["message"] = {"role": "assistant", "content": said} | message
        return reply({**good, "choices": [choice]})

    return end


@dataclass(kw_only=True)
class StandInOpenAi:
    """What it was told to do, and what it was asked."""

    schema: dict[str, Any]
    """What its answers are samples of, where it is not told."""
    faults: list[Fault] = field(default_factory=list)
    refused_formats: tuple[str, ...] = ()
    refused_names: tuple[str, ...] = ()
    """Fields of a request that it does not know."""
    key: str | None = KEY
    asked: list[Any] = field(default_factory=list)
    url: str = ""

    def answer(self, asked: Asked) -> Reply:
        given = asked.headers.get("authorization")
        if self.key is not None and given != f"Bearer {self.key}":
            return failing(401, f"Incorrect API key provided: {given}", "invalid_api_key")({})
        if asked.path != "/v1/chat/completions":
            return failing(404, f"no such path: {asked.path}")({})
        body = asked.json
        self.asked.append(body)
        kind = body.get("response_format", {}).get("type")
        if kind in self.refused_formats:
            return failing(400, f"'response_format' of type {kind} is not supported")({})
        for name in self.refused_names:
            if name in body:
                said = f"Unsupported parameter: '{name}'. Use 'max_completion_tokens' instead."
                return failing(400, said, "unsupported_parameter")({})
        good = self._good(body)
        return self.faults.pop(0)(good) if self.faults else reply(good)

    def pictures(self, number: int = -1) -> list[str]:
        """The addresses of the pictures of a request."""
        content = self.asked[number]["messages"][1]["content"]
        parts = content if isinstance(content, list) else []
        return [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]

    def _good(self, body: Any) -> Answer:
        held = body.get("response_format", {}).get("json_schema", {}).get("schema")
        text = json.dumps(sample(held or self.schema))
        message = {"role": "assistant", "content": text}
        usage = {
            "prompt_tokens": 700,
            "completion_tokens": 60,
            "prompt_tokens_details": {"cached_tokens": 512, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 20},
        }
        return {
            "object": "chat.completion",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": usage,
        }


@asynccontextmanager
async def openai_served(schema: dict[str, Any]) -> AsyncIterator[StandInOpenAi]:
    """Serve a stand-in for the length of the block."""
    endpoint = StandInOpenAi(schema=schema)
    async with served(endpoint.answer) as url:
        endpoint.url = f"{url}/v1"
        yield endpoint
