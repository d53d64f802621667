"""Which media items a run covers, for commands that take a run and nothing else."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from promptreel_client.model.runs import PromptRun

if TYPE_CHECKING:
    from promptreel_client import Client


def videos_of(client: "Client", run: PromptRun) -> Iterator[str]:
    """Name the media items of the run's target as it is now.

    An index or the playground may have gained some since that the run does not cover.
    """
    target: dict[str, Any] = run.run_context["target"]
    if named := target.get("video_ids"):
        yield from named
    elif index_id := target.get("index_id"):
        yield from (one.video_id for one in client.indexes.list_videos(index_id))
    else:
        yield from (one.video_id for one in client.videos.list_playground())
