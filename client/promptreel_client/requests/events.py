"""Events: the news that something of the caller's changed, in order."""

from collections.abc import Iterable

from promptreel.v2 import event_pb2 as pb
from promptreel_client import following
from promptreel_client.following import Watching
from promptreel_client.model.events import EventUpdate


def watch(
    *,
    run_id: str | None = None,
    index_id: str | None = None,
    video_ids: Iterable[str] = (),
    event_types: Iterable[str] = (),
    after_sequence: int | None = None,
) -> Watching[EventUpdate]:
    """Follow the caller's events in order, as they happen; an event must pass all filters.

    Comes back by itself after a cut, with nothing missed or repeated. With a run in the filter it
    ends after the run's terminal event, else it goes on until it is closed.

    Args:
        run_id: Only those about this run. None: all.
        index_id: Only those about this index. None: all.
        video_ids: Only those about one of these media items, at most 100. Empty: all.
        event_types: Only those of these types, such as `segment.completed`. Empty: all.
        after_sequence: Send events after this sequence. None: those from now on; with a run in the
            filter, all of the run's.

    Raises from iteration:
        NotFoundError: there is no such run, index or media item.
        InvalidRequestError: an event type is unknown, or the sequence is no longer kept.
        RateLimitError: too many watches are open.
    """
    return following.events(
        pb.WatchEventsRequest(
            run_id=run_id,
            index_id=index_id,
            video_ids=video_ids,
            event_types=event_types,
            after_sequence=after_sequence,
            updates_at_once=following.AT_ONCE,
        )
    )
