"""Ids: opaque, prefixed, URL-safe, sortable by creation."""

import os
from random import Random

from ulid import ULIDGenerator

INDEX = "idx"
VIDEO = "vid"
PROMPT = "prompt"
RUN = "run"
SEGMENT = "seg"
RETRY = "retry"
LLM_CALL = "llm"
JOB = "job"
KEY = "key"
EVENT = "evt"
DELETION = "del"
SEGMENTATION = "cut"

_RANDOM = Random(os.urandom(32))  # noqa: S311 - ids are no secrets, and the system's are dear
_ULIDS = ULIDGenerator(randomness=lambda _: _RANDOM.randbytes(10))


def new_id(prefix: str) -> str:
    """Make an id such as `run_01JD3…`: the prefix and a ULID."""
    return f"{prefix}_{_ULIDS.generate()}"


def new_ids(prefix: str, count: int) -> list[str]:
    """Make ids that sort in the order given, before any made later: one ULID, and a number each."""
    stem = new_id(prefix)
    return [f"{stem}{ordinal:05x}" for ordinal in range(count)]
