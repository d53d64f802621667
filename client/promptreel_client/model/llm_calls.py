"""LLM calls: requests to models and their answers, kept for inspection."""

from dataclasses import dataclass
from datetime import datetime

from promptreel_client.model.words import FailureCode, LlmCallPurpose, LlmCallStatus


@dataclass(frozen=True, kw_only=True, slots=True)
class LlmCall:
    """One request to a model and its answer, kept for inspection: one per attempt.

    Never holds credentials or the bytes of media.
    """

    llm_call_id: str
    """Names the LLM call."""
    prompt_run_id: str
    """The run it was made for."""
    prompt_id: str
    """The run's prompt."""
    video_id: str | None = None
    """The media item. None: it was for none in particular."""
    segment_id: str | None = None
    """The segment. None: it was for the whole media item."""
    user_id: str
    """The owner of the run."""
    model: str
    """The model, as it calls itself."""
    purpose: LlmCallPurpose
    """What it was for."""
    status: LlmCallStatus
    """How it ended."""
    input_tokens: int
    """Tokens the model was given, cached and audio tokens included."""
    output_tokens: int
    """Tokens the model answered with, thinking included."""
    total_tokens: int
    """Input and output tokens together."""
    video_seconds: float
    """Seconds of media the model was given."""
    segment_start_time: float | None = None
    """Where the segment starts, in seconds from the start of the media item. None: no segment."""
    segment_end_time: float | None = None
    """Where the segment ends, in seconds from the start of the media item. None: no segment."""
    prompt_text: str | None = None
    """What the model was asked, cut with a note where it is too long to keep. None: not kept."""
    response_text: str | None = None
    """What the model answered, cut with a note where it is too long to keep. None: nothing came."""
    schema_used: str | None = None
    """The JSON Schema as the model was given it, as text. None: none."""
    invoked_at: datetime
    """When it was sent."""
    completed_at: datetime | None = None
    """When the answer was there. None: none came."""
    duration_ms: int | None = None
    """How long it took, in milliseconds. None: no answer came."""
    error_message: str | None = None
    """Why no usable answer came. None: one did."""
    attempt: int
    """Which attempt of its operation it was, from 1."""
    finish_reason: str | None = None
    """Why the model stopped, in its own word. None: it did not say."""
    error_code: FailureCode | None = None
    """Why no usable answer came, as a code. None: one did."""
    cached: bool
    """Whether an earlier call that asked exactly the same answered it: no tokens were used."""
    thinking_tokens: int
    """Output tokens spent on thinking."""
    cached_tokens: int
    """Input tokens that the provider took from its cache."""
    audio_tokens: int
    """Input tokens that were heard."""
