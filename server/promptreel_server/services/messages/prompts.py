"""Prompts as messages, and what requests say about them."""

from promptreel.v2 import prompt_pb2
from promptreel_server.domain.prompt import Prompt, SemanticIndexing, VideoLevel
from promptreel_server.services.messages.json_structs import from_struct, to_struct
from promptreel_server.services.messages.timestamps import timestamp


def prompt(item: Prompt) -> prompt_pb2.Prompt:
    """Make the message of a prompt."""
    return prompt_pb2.Prompt(
        prompt_id=item.prompt_id,
        user_id=item.owner_id,
        name=item.name,
        description=item.description,
        prompt_text=item.prompt_text,
        json_schema=to_struct(item.json_schema),
        video_level=None if item.video_level is None else _video_level(item.video_level),
        semantic_indexing=prompt_pb2.SemanticIndexing(
            disabled_segment_fields=item.semantic_indexing.disabled_segment_fields,
            disabled_video_level_fields=item.semantic_indexing.disabled_video_level_fields,
        ),
        is_active=item.is_active,
        created_at=timestamp(item.created_at),
    )


def usage(item: Prompt, *, in_use: bool) -> prompt_pb2.PromptUsage:
    """Make the message of how a prompt is used."""
    return prompt_pb2.PromptUsage(
        prompt_id=item.prompt_id,
        name=item.name,
        is_active=item.is_active,
        is_in_use=in_use,
        created_at=timestamp(item.created_at),
        schema_properties_count=len(item.json_schema.get("properties", {})),
    )


def video_level(message: prompt_pb2.VideoLevel) -> VideoLevel:
    """Read what the synthesis is asked."""
    return VideoLevel(
        instructions_text=message.instructions_text,
        json_schema=from_struct(message.json_schema),
        included_segment_fields=tuple(message.included_segment_fields),
    )


def semantic_indexing(message: prompt_pb2.SemanticIndexing) -> SemanticIndexing:
    """Read which fields are left out of semantic search."""
    return SemanticIndexing(
        disabled_segment_fields=tuple(message.disabled_segment_fields),
        disabled_video_level_fields=tuple(message.disabled_video_level_fields),
    )


def _video_level(level: VideoLevel) -> prompt_pb2.VideoLevel:
    return prompt_pb2.VideoLevel(
        instructions_text=level.instructions_text,
        json_schema=to_struct(level.json_schema),
        included_segment_fields=level.included_segment_fields,
    )
