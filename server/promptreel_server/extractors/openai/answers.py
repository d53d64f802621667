"""What an OpenAI-compatible answer says: text, why it ended, what it took."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from promptreel_server.errors import FailureCode, ModelFailure
from promptreel_server.extractors.chat.chat import Completion

_THOUGHTS = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)


def completion(body: Any, provider: str) -> Completion:
    """Read the JSON of an answer; what the model refused is its `failure`.

    Raises:
        ModelFailure: it is no chat completion (`model_unavailable`).
    """
    choices = body.get("choices") if isinstance(body, Mapping) else None
    if not isinstance(choices, Sequence) or not all(isinstance(c, Mapping) for c in choices):
        said = f"{provider} answered something that is no chat completion"
        raise ModelFailure(FailureCode.MODEL_UNAVAILABLE, said)
    choice: Mapping[str, Any] = choices[0] if choices else {}
    message = _mapping(choice.get("message"))
    text = _THOUGHTS.sub("", _text(message.get("content")))
    reason = str(choice.get("finish_reason") or "")
    usage = _mapping(body.get("usage"))
    read, written = (
        _mapping(usage.get(f"{kind}_tokens_details")) for kind in ("prompt", "completion")
    )
    return Completion(
        text=text,
        finish_reason=reason,
        input_tokens=_count(usage, "prompt_tokens"),
        output_tokens=_count(usage, "completion_tokens"),
        cached_tokens=_count(read, "cached_tokens"),
        audio_tokens=_count(read, "audio_tokens"),
        thinking_tokens=_count(written, "reasoning_tokens"),
        failure=_failure(provider, reason, text, message.get("refusal")),
    )


def _failure(provider: str, reason: str, text: str, refusal: Any) -> ModelFailure | None:
    if reason == "content_filter":
        return ModelFailure(FailureCode.BLOCKED, f"{provider} blocked its answer (content_filter)")
    if isinstance(refusal, str) and refusal:
        return ModelFailure(FailureCode.BLOCKED, f"the model refused: {refusal[:300]}")
    if not text.strip() and reason != "length":
        return ModelFailure(FailureCode.MODEL_UNAVAILABLE, f"{provider} answered nothing")
    return None


def _text(content: Any) -> str:
    """The text of a message: a string, or a list of parts as some servers send it."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "".join(str(part.get("text") or "") for part in parts if isinstance(part, Mapping))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _count(counts: Mapping[str, Any], name: str) -> int:
    value = counts.get(name)
    return value if isinstance(value, int) and value > 0 else 0
