"""The canned extractor: answers at once, or as a script says, for tests and benchmarks."""

import asyncio
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from promptreel_server.clock import Clock, utc_now
from promptreel_server.domain.ids import LLM_CALL, new_id
from promptreel_server.domain.llm_call import LlmCall, LlmCallStatus, Purpose
from promptreel_server.domain.prompt import JsonObject
from promptreel_server.errors import FailureCode, Invalid, ModelFailure
from promptreel_server.extractors.canned.witness_call import post
from promptreel_server.extractors.extractor import Extraction, ExtractionRequest, SynthesisRequest
from promptreel_server.extractors.json_schema.compiled import BLANK, CompiledSchema, compiled

_BLANK_TEXT = json.dumps(BLANK)
_CHARACTERS_A_TOKEN = 4


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What goes wrong, for which segments and attempts; every condition given must hold.

    `one_in` picks segments by a checksum of their id, the same ones every time; `starts_from` and
    `starts_before` bound their start in seconds; `attempts` names attempts, from 1.
    """

    failure_code: FailureCode
    retry_after: float | None = None
    one_in: int | None = None
    starts_from: float | None = None
    starts_before: float | None = None
    attempts: tuple[int, ...] = ()
    synthesis: bool = False
    """Whether it strikes syntheses rather than segments."""

    def strikes(self, segment_id: str, start: float, attempt: int) -> bool:
        """Tell whether this attempt at a segment fails."""
        return (
            (not self.attempts or attempt in self.attempts)
            and (self.starts_from is None or start >= self.starts_from)
            and (self.starts_before is None or start < self.starts_before)
            and (self.one_in is None or zlib.crc32(segment_id.encode()) % self.one_in == 0)
        )


@dataclass(frozen=True, kw_only=True)
class CannedScript:
    """How a canned extractor behaves.

    `stand_in_url` is an `http://` address that each attempt is POSTed to before it is answered, as
    `{run_id, video_id, segment_id, purpose, attempt}`: an outside witness of what was paid for.
    """

    latency_seconds: float = 0.0
    stand_in_url: str | None = None
    faults: tuple[Fault, ...] = field(default=())

    @classmethod
    def from_json(cls, written: Mapping[str, Any]) -> "CannedScript":
        """Read a script as a file has it; raises ValueError or TypeError on what it can't mean."""
        faults = tuple(
            Fault(
                **{
                    **fault,
                    "failure_code": FailureCode(fault["failure_code"]),
                    "attempts": tuple(fault.get("attempts", ())),
                }
            )
            for fault in written.get("faults", ())
        )
        return cls(**{**written, "faults": faults})


def read_scripts(path: Path) -> dict[str, CannedScript]:
    """Read a JSON file of scripts by name (`{"slow": {"latency_seconds": 0.2}}`).

    Raises:
        Invalid: the file is missing or says something no script can mean.
    """
    try:
        written = json.loads(path.read_text(encoding="utf-8"))
        return {name: CannedScript.from_json(script) for name, script in written.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise Invalid(f"the canned scripts in {path} can't be used: {error}") from error


@dataclass(frozen=True, kw_only=True)
class _Asked:
    purpose: Purpose
    prompt_text: str
    said: str
    fault: Fault | None
    segment_id: str | None = None
    seconds: float = 0.0


class CannedExtractor:
    """An extractor without a model: valid by construction, deterministic, as fast as its script."""

    generation = ""

    def __init__(
        self, script: CannedScript | None = None, *, model: str = "canned", clock: Clock = utc_now
    ) -> None:
        self.model = model
        self._script = script or CannedScript()
        self._clock = clock

    def refuse(self, json_schema: JsonObject) -> str | None:
        """Say why no sample of the schema can be made, or None where one can."""
        try:
            compiled(json_schema).sample  # noqa: B018  # made here to learn whether it can be
        except Invalid as error:
            return error.message
        return None

    def prepare(self, request: ExtractionRequest) -> None:
        """Nothing is needed ahead of a call."""

    async def extract(self, request: ExtractionRequest) -> Extraction:
        """Answer the sample of the schema, its free strings telling title and times."""
        asked = _Asked(
            purpose=Purpose.METADATA_EXTRACTION,
            prompt_text=request.prompt_text,
            said=f"{request.title} {request.start:.3f}-{request.end:.3f}",
            fault=self._fault(request.segment_id, request.start, request.attempt, synthesis=False),
            segment_id=request.segment_id,
            seconds=request.end - request.start,
        )
        return await self._attempt(request, asked)

    async def synthesize(self, request: SynthesisRequest) -> Extraction:
        """Answer the sample of the schema, its free strings telling title and segments."""
        asked = _Asked(
            purpose=Purpose.VIDEO_SYNTHESIS,
            prompt_text=request.instructions_text,
            said=f"{request.title}: {len(request.sources)} segments",
            fault=self._fault(request.video_id, 0.0, request.attempt, synthesis=True),
        )
        return await self._attempt(request, asked)

    async def release(self, run_id: str, video_id: str) -> None:
        """Nothing is kept."""

    async def close(self) -> None:
        """Nothing is held."""

    def _fault(self, key: str, start: float, attempt: int, *, synthesis: bool) -> Fault | None:
        for fault in self._script.faults:
            if fault.synthesis is synthesis and fault.strikes(key, start, attempt):
                return fault
        return None

    async def _attempt(
        self, request: ExtractionRequest | SynthesisRequest, asked: _Asked
    ) -> Extraction:
        invoked_at = self._clock()
        schema = compiled(request.json_schema)
        failure = await self._pass_time(request, asked)
        answer = "" if failure else _filled(schema, asked.said)
        prompt = f"{asked.prompt_text}\n\n{asked.said}"
        call = LlmCall(
            llm_call_id=new_id(LLM_CALL),
            model=self.model,
            purpose=asked.purpose,
            status=LlmCallStatus.ERROR if failure else LlmCallStatus.SUCCESS,
            invoked_at=invoked_at,
            completed_at=self._clock(),
            attempt=request.attempt,
            input_tokens=len(prompt) // _CHARACTERS_A_TOKEN,
            output_tokens=len(answer) // _CHARACTERS_A_TOKEN,
            video_seconds=asked.seconds,
            prompt_text=prompt,
            response_text=answer or None,
            schema_used=schema.text,
            finish_reason=None if failure else "stop",
            error_code=failure.failure_code.value if failure else None,
            error_message=failure.message if failure else None,
        )
        return Extraction(
            metadata=None if failure else json.loads(answer),
            failure=failure,
            calls=(call,),
            raw_response=answer or None,
            rendered_prompt_chars=len(prompt),
        )

    async def _pass_time(
        self, request: ExtractionRequest | SynthesisRequest, asked: _Asked
    ) -> ModelFailure | None:
        script = self._script
        if script.latency_seconds:
            await asyncio.sleep(script.latency_seconds)
        if asked.fault is not None:
            code, pause = asked.fault.failure_code, asked.fault.retry_after
            return ModelFailure(code, "the script says so", retry_after=pause)
        if script.stand_in_url is None:
            return None
        witness = {
            "run_id": request.run_id,
            "video_id": request.video_id,
            "segment_id": asked.segment_id,
            "purpose": asked.purpose.value,
            "attempt": request.attempt,
        }
        try:
            await post(script.stand_in_url, witness)
        except ModelFailure as failure:
            return failure
        return None


def _filled(schema: CompiledSchema, said: str) -> str:
    return schema.template.replace(_BLANK_TEXT, json.dumps(said, ensure_ascii=False))
