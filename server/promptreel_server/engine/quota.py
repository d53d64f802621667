"""How much of something a minute may take, evenly but for a short burst."""

BURST_SECONDS = 6.0
"""What was not used is kept for so long: a tenth of a minute's share may come at once."""


class Quota:
    """The generic cell rate algorithm (ITU-T I.371): one number of state, in seconds.

    What is taken may be known only afterwards: then the quota is in debt, and closed for longer.
    """

    def __init__(self, a_minute: float) -> None:
        """`a_minute` is what one minute may take; 0: as much as is wanted."""
        self._seconds_each = 60.0 / a_minute if a_minute else 0.0
        self._full_at = 0.0

    def opens_at(self) -> float:
        """When the next may be taken, on the clock that `take` is told."""
        slack = max(0.0, BURST_SECONDS - self._seconds_each)
        return self._full_at - slack if self._seconds_each else 0.0

    def take(self, amount: float, now: float) -> None:
        """Take so much at this moment."""
        self._full_at = max(self._full_at, now) + amount * self._seconds_each
