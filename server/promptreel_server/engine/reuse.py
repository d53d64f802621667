"""Answers a call from an earlier one that asked exactly the same."""

import hashlib
import json
from dataclasses import replace
from datetime import datetime

from promptreel_server.extractors.extractor import Extraction, ExtractionRequest
from promptreel_server.extractors.schema import compiled, parse_answer
from promptreel_server.model.ids import LLM_CALL, new_id
from promptreel_server.model.llm_call import LlmCall, LlmCallStatus

VERSION = "1"


def fingerprint(request: ExtractionRequest, model: str, generation: str = "") -> str:
    """Name all that decides an answer: the medium, the stretch, what is asked and of whom."""
    said = request.transcript.text if request.transcript is not None else None
    asked = [
        VERSION,
        model,
        request.media_sha256,
        repr(request.start),
        repr(request.end),
        request.prompt_text,
        request.json_schema,
        said,
        *([generation] if generation else []),
    ]
    text = json.dumps(asked, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def marked(extraction: Extraction, name: str) -> Extraction:
    """Note on the call that brought the result what it asked, so that it can be found again."""
    if extraction.metadata is None or not extraction.calls:
        return extraction
    *before, last = extraction.calls
    if last.status is not LlmCallStatus.SUCCESS:
        return extraction
    return replace(extraction, calls=(*before, replace(last, fingerprint=name)))


def reused(request: ExtractionRequest, earlier: LlmCall, now: datetime) -> Extraction | None:
    """The result of an earlier call; None where its answer can't be read as one any more."""
    text = earlier.response_text
    if text is None:
        return None
    try:
        answer = parse_answer(text)
    except ValueError:
        return None
    if not isinstance(answer, dict) or compiled(request.json_schema).validate(answer):
        return None
    call = replace(
        earlier,
        llm_call_id=new_id(LLM_CALL),
        invoked_at=now,
        completed_at=now,
        attempt=request.attempt,
        input_tokens=0,
        output_tokens=0,
        thinking_tokens=0,
        cached_tokens=0,
        audio_tokens=0,
        video_seconds=0.0,
        cached=True,
        fingerprint=None,
    )
    return Extraction(metadata=answer, calls=(call,), raw_response=text)
