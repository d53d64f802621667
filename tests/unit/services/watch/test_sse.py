"""Server-sent events, byte for byte, and where they resume."""

from collections.abc import AsyncGenerator

from google.protobuf.duration_pb2 import Duration

from promptreel.v2 import event_pb2
from promptreel_server.errors import StoreUnavailable
from promptreel_server.services.watch import sse

WAIT = event_pb2.StreamError(code="unavailable", message="Why.", retry_after=Duration(seconds=1))


def test_a_frame_is_an_id_a_name_and_a_line_of_json() -> None:
    assert sse.frame("it", WAIT, 7) == (
        b'id: 7\nevent: it\ndata: {"code":"unavailable","message":"Why.","retry_after":"1s"}\n\n'
    )


async def test_an_error_in_mid_stream_leaves_the_reader_where_it_stands() -> None:
    async def frames() -> AsyncGenerator[bytes]:
        yield sse.frame("it", WAIT, 7)
        raise StoreUnavailable("The disk is full.")

    told = b"".join([body.data async for body in sse.stream(frames())]).decode()

    assert "event: processing.stream_error" in told
    assert told.count("id: ") == 1, "an id of 0 would have a browser begin again"
