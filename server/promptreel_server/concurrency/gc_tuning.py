"""How often Python looks for cycles among its objects: seldom, where next to none are made."""

import gc

COLLECTED_AFTER = 50_000
"""Objects made beyond those let go of, after which cycles are looked for among them."""


def collect_seldom() -> None:
    """Look for cycles less often, and never among what is there already.

    Thousands of watches, and of segments in flight, are many objects that live: at the usual 700
    objects the search took 3 to 8 % of the time of a busy engine.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECTED_AFTER, 50, 50)
