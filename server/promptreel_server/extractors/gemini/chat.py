"""One question to a Gemini model over its API."""

import asyncio
import re
from dataclasses import dataclass, field
from typing import Any

from google.genai import types
from google.genai.client import AsyncClient

from promptreel_server.errors import FailureCode, ModelFailure
from promptreel_server.extractors.chat.chat import Completion, Messages, object_text
from promptreel_server.extractors.gemini.answers import completion
from promptreel_server.extractors.gemini.failures import gemini_failures
from promptreel_server.extractors.gemini.media import Shown
from promptreel_server.extractors.gemini.schema import holds_whole, taken
from promptreel_server.extractors.json_schema.compiled import CompiledSchema
from promptreel_server.extractors.provider_options import GeminiOptions

OUTPUT_TOKENS = 8192
MOST_OUTPUT_TOKENS = 65_536
_MINIMAL_BUDGET = 1024
"""A budget up to this is the level `low` of the models that take levels."""
_MOST_REFUSED = 1000
_ABOUT_SCHEMA = re.compile(r"schema|too many states", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class GeminiLine:
    """An open client for one model, and what was learnt about it.

    `refused` holds texts of schemas that the API would not hold its answers to.
    """

    client: AsyncClient
    model: str
    options: GeminiOptions
    refused: set[str] = field(default_factory=set)


@dataclass(frozen=True, kw_only=True)
class GeminiChat:
    """The Chat port about one segment, or about nothing but words."""

    line: GeminiLine
    shown: Shown | None = None

    async def complete(
        self, messages: Messages, schema: CompiledSchema, *, limit_factor: int, attempt: int
    ) -> Completion:
        """Answer by one call, by a second one without the schema where the API refuses that."""
        refused = self.line.refused
        if schema.text not in refused:
            try:
                return await self._call(messages, schema, limit_factor, held=True)
            except ModelFailure as failure:
                about = _ABOUT_SCHEMA.search(failure.message)
                if failure.failure_code is not FailureCode.INVALID_REQUEST or not about:
                    raise
                if len(refused) < _MOST_REFUSED:
                    refused.add(schema.text)
        return await self._call(messages, schema, limit_factor, held=False)

    async def _call(
        self, messages: Messages, schema: CompiledSchema, limit_factor: int, *, held: bool
    ) -> Completion:
        options = self.line.options
        file = self.shown.upload.name if self.shown and self.shown.upload else None
        config = self._config(messages, schema, limit_factor, held=held)
        contents = self._contents(messages)
        failures = gemini_failures(
            secret=options.api_key or "", seconds=options.call_seconds, file=file
        )
        with failures:
            async with asyncio.timeout(options.call_seconds):
                response = await self.line.client.models.generate_content(
                    model=self.line.model, contents=contents, config=config
                )
        return completion(response)

    def _config(
        self, messages: Messages, schema: CompiledSchema, limit_factor: int, *, held: bool
    ) -> types.GenerateContentConfig:
        rules = "\n\n".join(m["content"] for m in messages if m["role"] == "system")
        if not held and holds_whole(schema.schema):  # else it stands there already
            rules += f"\n\nJSON Schema of the answer:\n{object_text(schema.schema)}"
        options = self.line.options
        resolution = None
        if options.media_resolution != "default":
            resolution = types.MediaResolution[
                f"MEDIA_RESOLUTION_{options.media_resolution.upper()}"
            ]
        return types.GenerateContentConfig(
            system_instruction=rules,
            response_mime_type="application/json",
            response_json_schema=taken(schema.schema) if held else None,
            max_output_tokens=min(OUTPUT_TOKENS * limit_factor, MOST_OUTPUT_TOKENS),
            media_resolution=types.MediaResolution(resolution) if resolution else None,
            thinking_config=thinking(self.line.model, options.thinking_budget),
            automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
        )

    def _contents(self, messages: Messages) -> list[Any]:
        """The conversation, with the medium ahead of the first words about it."""
        contents = [
            types.Content(
                role="user" if message["role"] == "user" else "model",
                parts=[types.Part.from_text(text=message["content"])],
            )
            for message in messages
            if message["role"] != "system"
        ]
        if self.shown is not None:
            first = contents[0]
            contents[0] = types.Content(
                role=first.role, parts=[*self.shown.parts, *(first.parts or [])]
            )
        return contents


def thinking(model: str, budget: int) -> types.ThinkingConfig | None:
    """How much a model may think: by budget where it takes one, by level from version 3 on.

    None leaves it to the model: where the budget is -1, and for models that don't think.
    """
    said = re.match(r"gemini-(\d+)(?:\.(\d+))?", model)
    if said is None or budget < 0:
        return None
    version = int(said[1]), int(said[2] or 0)
    if version < (2, 5):
        return None
    if version < (3, 0):
        return types.ThinkingConfig(thinking_budget=budget)
    if budget > _MINIMAL_BUDGET:
        return None
    return types.ThinkingConfig(thinking_level=types.ThinkingLevel.LOW)
