"""Prompts: what is asked of each segment, and of the whole media item."""

from dataclasses import dataclass
from datetime import datetime

from promptreel_client.model.json_object import JsonObject


@dataclass(frozen=True, kw_only=True, slots=True)
class VideoLevel:
    """What the synthesis is asked."""

    instructions_text: str
    """The instructions for the whole media item: 10 to 5000 characters."""
    json_schema: JsonObject
    """The JSON Schema of what the synthesis yields; same rules as the prompt's own."""
    included_segment_fields: tuple[str, ...] = ()
    """What it may read of the segments: dotted paths, `[]` for repeated objects
    (`scene.people[].emotion`); `transcription` and `metadata_text` too. Empty: every field."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SemanticIndexing:
    """Field paths (`scene.people[].emotion`) left out of `metadata_text` and of semantic search."""

    disabled_segment_fields: tuple[str, ...] = ()
    """Of the segments' results. Empty: none are left out."""
    disabled_video_level_fields: tuple[str, ...] = ()
    """Of the media-wide results. Empty: none are left out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Prompt:
    """Instructions and a JSON Schema for every segment, perhaps a synthesis on top."""

    prompt_id: str
    """Names the prompt."""
    user_id: str
    """Its owner."""
    name: str
    """What people call it."""
    description: str
    """What it is for."""
    prompt_text: str
    """The instructions for every segment."""
    json_schema: JsonObject
    """The JSON Schema of what a segment yields."""
    video_level: VideoLevel | None = None
    """What the synthesis is asked. None: there is none."""
    semantic_indexing: SemanticIndexing
    """Field paths left out of semantic search."""
    is_active: bool
    """Whether runs may use it."""
    created_at: datetime
    """When it was created."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PromptUsage:
    """How much a prompt is in use."""

    prompt_id: str
    """The prompt."""
    name: str
    """What people call it."""
    is_active: bool
    """Whether runs may use it."""
    is_in_use: bool
    """Whether a run has used it."""
    created_at: datetime
    """When it was created."""
    schema_properties_count: int
    """How many properties its JSON Schema has at its root."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SchemaTest:
    """Whether sample data fit a JSON Schema."""

    valid: bool
    """Whether they fit."""
    validated_data: JsonObject | None = None
    """The data as checked. None: they don't fit."""
    error: str | None = None
    """The first thing that is wrong, with its place. None: nothing is."""
    message: str
    """The verdict as a sentence."""
