"""Server-sent events: the watches for REST callers, framed by the server itself."""

from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing

from google.api.httpbody_pb2 import HttpBody
from google.protobuf.message import Message

from promptreel.v2 import event_pb2, prompt_run_pb2, rest_pb2
from promptreel_server.errors import Invalid, PromptreelError
from promptreel_server.services.call.context import current_call
from promptreel_server.services.messages.rest_json import render

CONTENT_TYPE = "text/event-stream"
STREAM_ERROR = "processing.stream_error"


LAST_SEQUENCE = 2**63 - 1
"""No sequence is larger, nor is one of more digits."""


def frame(event: str, message: Message, sequence: int | None) -> bytes:
    """Frame one message: `id:` is where to resume, `data:` its JSON on one line.

    Without a sequence the reader goes on from the last one it was told.
    """
    resume = "" if sequence is None else f"id: {sequence}\n"
    return f"{resume}event: {event}\ndata: ".encode() + render(message) + b"\n\n"


def comment(text: str) -> bytes:
    """Frame a comment line, which keeps a quiet stream open and says nothing."""
    return f": {text}\n\n".encode()


def resume_after(asked: int | None) -> int | None:
    """Where a stream resumes: the header `Last-Event-ID`, else what the query says.

    Raises:
        Invalid: the header is no sequence.
    """
    header = current_call().last_event_id
    if not header:
        return asked
    digits = len(str(LAST_SEQUENCE))
    if not header.isdigit() or len(header) > digits or int(header) > LAST_SEQUENCE:
        raise Invalid.field("Last-Event-ID", "the id of an event seen before")
    return int(header)


def watch_request(
    request: rest_pb2.WatchPromptRunEventsRequest,
) -> prompt_run_pb2.WatchPromptRunRequest:
    """What the typed watch is asked for a REST caller."""
    asked = request.after_sequence if request.HasField("after_sequence") else None
    return prompt_run_pb2.WatchPromptRunRequest(
        run_id=request.run_id, after_sequence=resume_after(asked)
    )


def events_request(request: rest_pb2.StreamEventsRequest) -> event_pb2.WatchEventsRequest:
    """What the typed stream of events is asked for a REST caller; lists may be comma-separated."""
    asked = request.after_sequence if request.HasField("after_sequence") else None
    return event_pb2.WatchEventsRequest(
        run_id=request.run_id or None,
        index_id=request.index_id or None,
        video_ids=_split(request.video_ids),
        event_types=_split(request.event_types),
        after_sequence=resume_after(asked),
    )


def _split(values: Iterable[str]) -> list[str]:
    return [part.strip() for value in values for part in value.split(",") if part.strip()]


async def stream(frames: AsyncGenerator[bytes]) -> AsyncGenerator[HttpBody]:
    """Send frames, opened by a comment, so that headers go out at once.

    Once the stream has begun an error can only be told as an event; it is none of the feed's.
    """
    begun = False
    try:
        async with aclosing(frames):
            async for data in frames:
                if not begun:
                    begun = True
                    yield _body(comment("open"))
                yield _body(data)
                del data
    except PromptreelError as error:
        if not begun:
            raise
        told = event_pb2.StreamError(code=error.reason, message=error.message)
        yield _body(frame(STREAM_ERROR, told, None))


def _body(data: bytes) -> HttpBody:
    return HttpBody(content_type=CONTENT_TYPE, data=data)
