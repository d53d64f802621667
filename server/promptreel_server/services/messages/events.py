"""Events on the wire."""

from promptreel.v2 import event_pb2
from promptreel_server.domain.event import Event
from promptreel_server.services.messages.json_structs import to_struct
from promptreel_server.services.messages.timestamps import timestamp


def event_message(event: Event) -> event_pb2.Event:
    """Turn an event into its message."""
    return event_pb2.Event(
        event_id=event.event_id,
        event_type=event.event_type.value,
        user_id=event.owner_id,
        run_id=event.run_id,
        video_id=event.video_id,
        segment_id=event.segment_id,
        index_id=event.index_id,
        created_at=timestamp(event.created_at),
        payload=to_struct(event.payload),
    )
