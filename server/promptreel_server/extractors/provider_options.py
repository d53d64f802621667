"""What the models behind a network are reached and asked with."""

from dataclasses import dataclass, field

MOST_FPS = 24.0
"""Frames of a second of video that Gemini looks at, at the most."""


@dataclass(frozen=True, kw_only=True)
class GeminiOptions:
    """Options of `gemini-…` models.

    `fps` is how many frames of a second of video the model sees. `thinking_budget` is in tokens, 0
    for as little as the model can, -1 for as much as it wants. `call_seconds` bounds one call.
    """

    api_key: str | None = field(default=None, repr=False)
    base_url: str | None = None
    fps: float = 1.0
    media_resolution: str = "default"
    thinking_budget: int = 512
    call_seconds: float = 300.0


@dataclass(frozen=True, kw_only=True)
class OpenAiOptions:
    """Options of `openai:<model>`.

    `frames` is how many frames of a segment the model is shown at the most, 0 for models that see
    nothing. `prompt_characters` is how much transcript or notes one prompt may hold.
    """

    api_key: str | None = field(default=None, repr=False)
    base_url: str | None = None
    frames: int = 4
    prompt_characters: int = 24_000
    call_seconds: float = 300.0
