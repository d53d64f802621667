"""Ids: opaque, prefixed, URL-safe, sortable by creation."""

import re

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

_ID = re.compile(r"[a-z]+_[0-9A-Za-z_-]{1,64}")


def new_id(prefix: str) -> str:
    """Make an id such as `run_01JD3…`: the prefix and a ULID."""
    return f"{prefix}_{ULID()}"


def new_ids(prefix: str, count: int) -> list[str]:
    """Make ids that sort in the order given, before any made later: one ULID, and a number each."""
    stem = new_id(prefix)
    return [f"{stem}{ordinal:05x}" for ordinal in range(count)]


def looks_like(prefix: str, value: str) -> bool:
    """Tell whether `value` has the form of an id with this prefix."""
    return value.startswith(f"{prefix}_") and _ID.fullmatch(value) is not None
