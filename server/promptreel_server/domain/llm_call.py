"""LLM calls: one request to a model and its answer, kept for inspection."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from promptreel_server.domain.prompt import JsonObject


class Purpose(Enum):
    """What a call was for."""

    METADATA_EXTRACTION = "metadata_extraction"
    VIDEO_SYNTHESIS = "video_synthesis"
    TRANSCRIPTION = "transcription"
    EMBEDDING = "embedding"
    REPAIR = "repair"


class LlmCallStatus(Enum):
    """How a call ended."""

    SUCCESS = "success"
    ERROR = "error"
    BLOCKED = "blocked"


@dataclass(frozen=True, kw_only=True)
class LlmCall:
    """One attempt: what was asked, answered and used. No key and no media bytes, ever.

    `schema_used` is the JSON Schema as sent, as text. Tokens that the model spent thinking, took
    from a cache or heard as audio are kept apart and are part of the totals.
    """

    llm_call_id: str
    model: str
    purpose: Purpose
    status: LlmCallStatus
    invoked_at: datetime
    completed_at: datetime
    attempt: int = 1
    input_tokens: int = 0
    output_tokens: int = 0
    thinking_tokens: int = 0
    cached_tokens: int = 0
    audio_tokens: int = 0
    video_seconds: float = 0.0
    prompt_text: str | None = None
    response_text: str | None = None
    schema_used: str | None = None
    finish_reason: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    cached: bool = False
    """Whether it was answered from an earlier call that asked the same."""
    result: JsonObject | None = None
    """What was made of the answer, where that is not just what its text says."""

    @property
    def total_tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens

    @property
    def duration_ms(self) -> int:
        """How long the answer took, in milliseconds."""
        return round((self.completed_at - self.invoked_at).total_seconds() * 1000)
