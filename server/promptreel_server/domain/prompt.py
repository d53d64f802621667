"""Prompts: what is asked of each segment, and of the whole media item."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

JsonObject = Mapping[str, Any]

DEFAULT_OWNER = "promptreel"
"""Owner of the prompts that ship with the server."""


@dataclass(frozen=True, kw_only=True)
class VideoLevel:
    """What the synthesis is asked, and which segment fields it may read (none named: all)."""

    instructions_text: str
    json_schema: JsonObject
    included_segment_fields: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SemanticIndexing:
    """Field paths left out of `metadata_text` and of semantic search."""

    disabled_segment_fields: tuple[str, ...] = ()
    disabled_video_level_fields: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """Instructions and a JSON Schema for every segment, perhaps a synthesis on top."""

    prompt_id: str
    owner_id: str
    name: str
    description: str
    prompt_text: str
    json_schema: JsonObject
    video_level: VideoLevel | None
    semantic_indexing: SemanticIndexing
    is_active: bool
    created_at: datetime

    @property
    def is_default(self) -> bool:
        """Whether it ships with the server."""
        return self.owner_id == DEFAULT_OWNER
