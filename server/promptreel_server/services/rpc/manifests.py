"""The failed-segment manifest as it is answered: all of it up to a cap, or page by page."""

from collections.abc import Sequence

from sqlalchemy import Connection

from promptreel.v2 import manifest_pb2
from promptreel_server.domain.page import Page, Position, Slice
from promptreel_server.domain.run import Run
from promptreel_server.domain.segment import SegmentRun
from promptreel_server.services.messages.failures import counts_message, sum_of, video_message
from promptreel_server.services.messages.runs import RUN_STATUS
from promptreel_server.store.runs import failure_manifest, run_media
from promptreel_server.store.runs.failure_manifest import VideoFailures

MOST_IN_MANIFEST = 10_000
"""Segments that one answer lists. Without paging `truncated` says that there are more, with it the
page ends there, perhaps within a media item."""


def manifest_of(
    c: Connection, run: Run, video_id: str, part: Slice | None
) -> tuple[manifest_pb2.FailedSegmentManifest, Position | None]:
    """The manifest of a run, and where the page that it lists ends; None where nothing follows."""
    failures = failure_manifest.by_video(c, run.run_id)
    if video_id:
        run_media.fetch(c, run.run_id, video_id)
        failures = [one for one in failures if one.video_id == video_id]
    message = manifest_pb2.FailedSegmentManifest(
        run_id=run.run_id,
        status=RUN_STATUS.number(run.status),
        videos_with_failures=len(failures),
        failed_segments=sum(one.failed_segments for one in failures),
        operation_counts=counts_message(sum_of(failures)),
    )
    if part is None:
        _list_all(c, message, failures)
        return message, None
    return message, _list_page(c, message, failures, part)


def _list_all(
    c: Connection, message: manifest_pb2.FailedSegmentManifest, failures: Sequence[VideoFailures]
) -> None:
    """List all media items, and of their failed segments as many as fit."""
    room = MOST_IN_MANIFEST
    for one in failures:
        page = _failed(c, message.run_id, one, room)
        room -= len(page.items)
        message.videos.append(video_message(one, page.items))
        message.truncated = message.truncated or len(page.items) < one.failed_segments


def _list_page(
    c: Connection,
    message: manifest_pb2.FailedSegmentManifest,
    failures: Sequence[VideoFailures],
    part: Slice,
) -> Position | None:
    """List a page of media items; it ends, perhaps within one, where no more segments fit."""
    video_id, *within = part.after or ("",)
    room = MOST_IN_MANIFEST
    reached: Position | None = part.after
    for one in failures:
        resumed = one.video_id == video_id and bool(within)
        if one.video_id < str(video_id) or (one.video_id == video_id and not resumed):
            continue
        if len(message.videos) == part.limit or not room:
            return reached
        page = _failed(c, message.run_id, one, room, tuple(within) if resumed else None)
        room -= len(page.items)
        message.videos.append(video_message(one, page.items))
        if page.after is not None:
            return (one.video_id, *page.after)
        reached = (one.video_id,)
    return None


def _failed(
    c: Connection, run_id: str, one: VideoFailures, room: int, after: Position | None = None
) -> Page[SegmentRun]:
    if not room:
        return Page(items=())
    return failure_manifest.failed(c, run_id, one.video_id, Slice(limit=room, after=after))
