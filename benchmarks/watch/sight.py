"""What one watcher saw of a run: every transition in order, as a digest, and when each came."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime


@dataclass
class Sight:
    """Fills up as a watcher is told things; times are seconds since 1970."""

    seen_at: dict[int, float] = field(default_factory=dict)
    """When each sequence came."""
    first_at: float = 0.0
    """When the server wrote the first event."""
    last_at: float = 0.0
    """When it wrote the last one."""
    ended: bool = False
    _seen: "hashlib._Hash" = field(default_factory=hashlib.sha256)

    def see(self, sequence: int, event_id: str, created_at: float, now: float) -> None:
        """Note one transition."""
        self._seen.update(f"{sequence} {event_id}\n".encode())
        self.seen_at[sequence] = now
        self.first_at = self.first_at or created_at
        self.last_at = created_at

    @property
    def digest(self) -> str:
        """The same for those who saw the same in the same order, and for nobody else."""
        return self._seen.hexdigest()


def instant(written: str) -> float:
    """Read a timestamp of the API as seconds since 1970."""
    return datetime.fromisoformat(written).timestamp()


def percentile(values: list[float], share: float) -> float:
    """Answer the value that `share` of all values do not exceed; nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
