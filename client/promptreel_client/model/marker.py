"""Notes that people pinned to things."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Marker:
    """A note that a person pinned to something: all None until somebody does."""

    marker_id: str | None = None
    """Names the marker. None: there is none."""
    color: str | None = None
    """The colour it is drawn in, as the person chose it. None: there is none."""
    note: str | None = None
    """What the person wrote. None: nothing."""
    updated_at: datetime | None = None
    """When it was last changed. None: never set."""
