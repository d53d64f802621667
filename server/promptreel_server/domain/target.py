"""What a run covers."""

from dataclasses import dataclass
from enum import Enum

from promptreel_server.errors import Invalid

MOST_VIDEOS = 1000


class TargetType(Enum):
    """The three kinds of target."""

    INDEX = "index"
    VIDEOS = "videos"
    PLAYGROUND = "playground"


@dataclass(frozen=True, kw_only=True)
class Target:
    """An index, selected media items, or the caller's playground media."""

    type: TargetType
    index_id: str | None = None
    video_ids: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what the kind of target can't mean."""
        if self.type is TargetType.INDEX and not self.index_id:
            raise Invalid.field("target.index_id", "name the index that the run covers")
        if self.type is TargetType.VIDEOS and not self.video_ids:
            raise Invalid.field("target.video_ids", "name 1 to 1000 media items")
        if len(self.video_ids) > MOST_VIDEOS:
            raise Invalid.field("target.video_ids", f"at most {MOST_VIDEOS} media items a run")
        if self.type is not TargetType.VIDEOS and self.video_ids:
            raise Invalid.field("target.video_ids", "goes with target.type videos only")
        if self.type is TargetType.PLAYGROUND and self.index_id:
            raise Invalid.field("target.index_id", "playground media belong to no index")
