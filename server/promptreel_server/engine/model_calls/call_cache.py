"""Answers a call from an earlier one that asked exactly the same."""

import hashlib
import json
from dataclasses import replace
from datetime import datetime

from promptreel_server.domain.ids import LLM_CALL, new_id
from promptreel_server.domain.llm_call import LlmCall, LlmCallStatus
from promptreel_server.domain.prompt import JsonObject
from promptreel_server.domain.segment import Segment, Transcript
from promptreel_server.extractors.extractor import (
    Extraction,
    ExtractionRequest,
    Extractor,
    SynthesisRequest,
)
from promptreel_server.extractors.json_schema.compiled import compiled, parse_answer

VERSION = "3"


class Fingerprints:
    """Names all that decides an answer: the medium, the stretch, what is asked and of whom.

    What the segments of a medium have in common is hashed once.
    """

    def __init__(
        self, extractor: Extractor, *, media_sha256: str, prompt_text: str, json_schema: JsonObject
    ) -> None:
        asked = [extractor.model, extractor.generation, media_sha256, prompt_text, json_schema]
        shared = json.dumps([VERSION, *asked], sort_keys=True)
        self._shared = hashlib.sha256(shared.encode())

    def of(self, segment: Segment, said: Transcript | None) -> str:
        """The fingerprint of a segment and what is said in it (None: not known)."""
        text = None if said is None else said.text
        return self._with(f"{segment.start} {segment.end} {text!r}")

    def of_all(self, material: str) -> str:
        """The fingerprint of a synthesis of material that has this fingerprint itself."""
        return self._with(material)

    def _with(self, own: str) -> str:
        name = self._shared.copy()
        name.update(own.encode(errors="surrogatepass"))
        return name.hexdigest()


def may_serve(extraction: Extraction) -> bool:
    """Whether the last call brought the result itself: later ones may be answered from it."""
    if extraction.metadata is None or not extraction.calls:
        return False
    last = extraction.calls[-1]
    return last.status is LlmCallStatus.SUCCESS and not last.cached


def reused(
    request: ExtractionRequest | SynthesisRequest, earlier: LlmCall, now: datetime
) -> Extraction | None:
    """The result of an earlier call; None where its answer can't be read as one any more."""
    text = earlier.response_text
    if text is None:
        return None
    answer: object = earlier.result
    if answer is None:
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
    )
    return Extraction(metadata=answer, calls=(call,), raw_response=text)
