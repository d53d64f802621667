"""Ids: opaque, prefixed, URL-safe, sortable by creation."""

from ulid import ULID

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


def new_id(prefix: str) -> str:
    """Make an id such as `run_01JD3…`: the prefix and a ULID."""
    return f"{prefix}_{ULID()}"


def new_ids(prefix: str, count: int) -> list[str]:
    """Make ids that sort in the order given, before any made later: one ULID, and a number each."""
    stem = new_id(prefix)
    return [f"{stem}{ordinal:05x}" for ordinal in range(count)]
