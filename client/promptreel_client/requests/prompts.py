"""Prompts: what is asked of each segment, and of the whole media item."""

from collections.abc import Mapping
from typing import Any

from promptreel.v2 import prompt_pb2 as pb
from promptreel_client.call import Call, key_of, reading, reading_all, writing
from promptreel_client.model.prompts import (
    Prompt,
    PromptUsage,
    SchemaTest,
    SemanticIndexing,
    VideoLevel,
)
from promptreel_client.requests.mappings import shaped
from promptreel_client.structs import to_struct

JsonSchema = Mapping[str, Any]


def create(
    *,
    name: str,
    prompt_text: str,
    json_schema: JsonSchema,
    description: str | None = None,
    video_level: VideoLevel | Mapping[str, Any] | None = None,
    semantic_indexing: SemanticIndexing | Mapping[str, Any] | None = None,
    idempotency_key: str | None = None,
) -> Call[Prompt]:
    """Create a prompt.

    Args:
        name: What people call it: 3 to 100 characters.
        prompt_text: The instructions for every segment: 10 to 5000 characters.
        json_schema: The JSON Schema of what a segment yields, an object at its root.
        description: What it is for: at most 500 characters.
        video_level: What the synthesis is asked. None: there is none.
        semantic_indexing: Field paths left out of semantic search. None: none are.
        idempotency_key: Asked again with the same key, the same prompt is answered.

    Raises:
        InvalidRequestError: names what is wrong with a text, a schema or a field path.
    """
    request = pb.CreatePromptRequest(
        name=name,
        prompt_text=prompt_text,
        json_schema=to_struct(json_schema, "json_schema"),
        description=description,
        video_level=_video_level(video_level),
        semantic_indexing=_semantic_indexing(semantic_indexing),
    )
    return writing(request, Prompt, idempotency_key)


def list_all(
    *, active_only: bool | None = None, include_defaults: bool | None = None
) -> Call[tuple[Prompt, ...]]:
    """List the prompts that the caller may use: its own, newest first, then the defaults.

    Args:
        active_only: Whether to list active prompts only. None: yes.
        include_defaults: Whether to list those that ship with the server. None: yes.
    """
    request = pb.ListPromptsRequest(active_only=active_only, include_defaults=include_defaults)
    return reading_all(request, Prompt, "prompts")


def retrieve(prompt_id: str) -> Call[Prompt]:
    """Answer one prompt.

    Raises:
        NotFoundError: there is no such prompt.
    """
    return reading(pb.GetPromptRequest(prompt_id=prompt_id), Prompt)


def update(
    prompt_id: str,
    *,
    name: str | None = None,
    prompt_text: str | None = None,
    json_schema: JsonSchema | None = None,
    description: str | None = None,
    video_level: VideoLevel | Mapping[str, Any] | None = None,
    semantic_indexing: SemanticIndexing | Mapping[str, Any] | None = None,
    clear_video_level: bool = False,
    idempotency_key: str | None = None,
) -> Call[Prompt]:
    """Change what is given of a prompt and leave the rest; runs keep what they were accepted with.

    The arguments are those of `create`; `clear_video_level` asks for no synthesis any more.

    Raises:
        NotFoundError: there is no such prompt.
        ConflictError: it ships with the server.
        InvalidRequestError: as for `create`.
    """
    request = pb.UpdatePromptRequest(
        prompt_id=prompt_id,
        name=name,
        prompt_text=prompt_text,
        json_schema=None if json_schema is None else to_struct(json_schema, "json_schema"),
        description=description,
        video_level=_video_level(video_level),
        semantic_indexing=_semantic_indexing(semantic_indexing),
        clear_video_level=clear_video_level,
    )
    return writing(request, Prompt, idempotency_key)


def delete(prompt_id: str, *, force: bool = False, idempotency_key: str | None = None) -> Call[str]:
    """Delete a prompt, and answer in a sentence what became of it.

    Args:
        prompt_id: The prompt.
        force: Deactivate one that runs have used, instead of refusing.
        idempotency_key: Asked again with the same key, the same is answered.

    Raises:
        NotFoundError: there is no such prompt.
        ConflictError: it ships with the server, or runs have used it and `force` is not set.
    """

    def read(answer: pb.DeletePromptResponse) -> str:
        return answer.message

    request = pb.DeletePromptRequest(prompt_id=prompt_id, force=force)
    return Call(request=request, read=read, idempotency_key=key_of(idempotency_key))


def usage(prompt_id: str) -> Call[PromptUsage]:
    """Answer whether a prompt is in use.

    Raises:
        NotFoundError: there is no such prompt.
    """
    return reading(pb.GetPromptUsageRequest(prompt_id=prompt_id), PromptUsage)


def test_schema(*, json_schema: JsonSchema, sample_data: Mapping[str, Any]) -> Call[SchemaTest]:
    """Check sample data against a JSON Schema; data that don't fit are an answer, no error."""
    request = pb.TestSchemaRequest(
        json_schema=to_struct(json_schema, "json_schema"),
        sample_data=to_struct(sample_data, "sample_data"),
    )
    return reading(request, SchemaTest)


def _video_level(given: VideoLevel | Mapping[str, Any] | None) -> pb.VideoLevel | None:
    if given is None:
        return None
    level = shaped(VideoLevel, given, "video_level")
    return pb.VideoLevel(
        instructions_text=level.instructions_text,
        json_schema=to_struct(level.json_schema, "video_level.json_schema"),
        included_segment_fields=level.included_segment_fields,
    )


def _semantic_indexing(
    given: SemanticIndexing | Mapping[str, Any] | None,
) -> pb.SemanticIndexing | None:
    if given is None:
        return None
    paths = shaped(SemanticIndexing, given, "semantic_indexing")
    return pb.SemanticIndexing(
        disabled_segment_fields=paths.disabled_segment_fields,
        disabled_video_level_fields=paths.disabled_video_level_fields,
    )
