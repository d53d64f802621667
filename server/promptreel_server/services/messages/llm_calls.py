"""LLM calls on the wire."""

from promptreel.v2 import enums_pb2, llm_call_pb2
from promptreel_server.domain.llm_call import LlmCallStatus, Purpose
from promptreel_server.errors import FailureCode
from promptreel_server.services.messages.enums import words
from promptreel_server.services.messages.failures import FAILURE_CODE
from promptreel_server.services.messages.timestamps import timestamp
from promptreel_server.store.runs.llm_calls import RecordedCall

STATUS = words(LlmCallStatus, enums_pb2.LlmCallStatus.Value)
_PURPOSE = words(Purpose, enums_pb2.LlmCallPurpose.Value)


def llm_call_message(recorded: RecordedCall) -> llm_call_pb2.LlmCall:
    """Turn a recorded call into its message."""
    call = recorded.call
    return llm_call_pb2.LlmCall(
        llm_call_id=call.llm_call_id,
        prompt_run_id=recorded.run_id,
        prompt_id=recorded.prompt_id,
        video_id=recorded.video_id,
        segment_id=recorded.segment_id,
        user_id=recorded.owner_id,
        model=call.model,
        purpose=_PURPOSE.number(call.purpose),
        status=STATUS.number(call.status),
        input_tokens=call.input_tokens,
        output_tokens=call.output_tokens,
        total_tokens=call.total_tokens,
        video_seconds=call.video_seconds,
        segment_start_time=recorded.segment_start,
        segment_end_time=recorded.segment_end,
        prompt_text=call.prompt_text,
        response_text=call.response_text,
        schema_used=call.schema_used,
        invoked_at=timestamp(call.invoked_at),
        completed_at=timestamp(call.completed_at),
        duration_ms=call.duration_ms,
        error_message=call.error_message,
        attempt=call.attempt,
        finish_reason=call.finish_reason,
        error_code=None
        if call.error_code is None
        else FAILURE_CODE.number(FailureCode(call.error_code)),
        cached=call.cached,
        thinking_tokens=call.thinking_tokens,
        cached_tokens=call.cached_tokens,
        audio_tokens=call.audio_tokens,
    )
