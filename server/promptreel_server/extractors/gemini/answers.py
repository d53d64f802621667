"""What a Gemini answer says: text, why it ended, what it took."""

from google.genai import types

from promptreel_server.errors import FailureCode, ModelFailure
from promptreel_server.extractors.chat.chat import Completion

_WORDS = {"STOP": "stop", "MAX_TOKENS": "length"}
"""Reasons that every provider has, in the words of all; others keep their own in lower case."""
_BLOCKED = frozenset(
    {"SAFETY", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR", "LANGUAGE"}
    | {"IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "JAILBREAK"}
)
_RECITATION = frozenset({"RECITATION", "IMAGE_RECITATION"})


def completion(response: types.GenerateContentResponse) -> Completion:
    """Read an answer; what the model refused is its `failure`.

    A blocked prompt, a blocked answer and one that recites its sources are `blocked`, each with
    its own words; an answer with nothing in it is `model_unavailable`, worth another attempt.
    """
    usage = response.usage_metadata or types.GenerateContentResponseUsageMetadata()
    thinking = usage.thoughts_token_count or 0
    text, reason, failure = _said(response)
    return Completion(
        text=text,
        finish_reason=_WORDS.get(reason, reason.lower()),
        input_tokens=(usage.prompt_token_count or 0) + (usage.tool_use_prompt_token_count or 0),
        output_tokens=(usage.candidates_token_count or 0) + thinking,
        thinking_tokens=thinking,
        cached_tokens=usage.cached_content_token_count or 0,
        audio_tokens=_heard(usage),
        failure=failure,
    )


def _said(response: types.GenerateContentResponse) -> tuple[str, str, ModelFailure | None]:
    feedback = response.prompt_feedback
    if feedback is not None and feedback.block_reason is not None:
        reason = _name(feedback.block_reason)
        said = f"Gemini blocked the prompt or the media ({reason})"
        return "", reason, ModelFailure(FailureCode.BLOCKED, said)
    if not response.candidates:
        empty = ModelFailure(FailureCode.MODEL_UNAVAILABLE, "Gemini answered without a candidate")
        return "", "", empty
    candidate = response.candidates[0]
    parts = (candidate.content.parts if candidate.content else None) or []
    text = "".join(part.text for part in parts if part.text and not part.thought)
    reason = _name(candidate.finish_reason)
    return text, reason, _failure(reason, text)


def _failure(reason: str, text: str) -> ModelFailure | None:
    if reason in _BLOCKED:
        return ModelFailure(FailureCode.BLOCKED, f"Gemini blocked its answer ({reason})")
    if reason in _RECITATION:
        said = "Gemini stopped because its answer recites a source (RECITATION)"
        return ModelFailure(FailureCode.BLOCKED, said)
    if reason in ("STOP", "MAX_TOKENS", "") and (text or reason == "MAX_TOKENS"):
        return None
    said = f"Gemini answered nothing that can be used ({reason or 'no finish reason'})"
    return ModelFailure(FailureCode.MODEL_UNAVAILABLE, said)


def _name(reason: types.FinishReason | types.BlockedReason | None) -> str:
    return "" if reason is None else str(reason.value)


def _heard(usage: types.GenerateContentResponseUsageMetadata) -> int:
    """The tokens of the prompt that were sound."""
    counts = usage.prompt_tokens_details or []
    return sum(
        count.token_count or 0 for count in counts if count.modality is types.MediaModality.AUDIO
    )
