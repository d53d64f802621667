"""The prompts that ship with the server."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from promptreel_server.domain.prompt import DEFAULT_OWNER, Prompt, SemanticIndexing, VideoLevel
from promptreel_server.store.catalogue import prompts
from promptreel_server.store.schema.transaction import Transaction

_SHIPPED_AT = datetime(2026, 1, 1, tzinfo=UTC)


def ensure_defaults(tx: Transaction) -> None:
    """Put the shipped prompts into a database that lacks them, or has older ones."""
    prompts.ensure(tx, DEFAULT_PROMPTS)


def _text(description: str) -> dict[str, Any]:
    return {"type": "string", "description": description}


def _texts(description: str, most: int) -> dict[str, Any]:
    return {
        "type": "array",
        "description": description,
        "items": {"type": "string"},
        "maxItems": most,
    }


def _object(properties: Mapping[str, Any], *required: str) -> dict[str, Any]:
    return {"type": "object", "properties": dict(properties), "required": list(required)}


def _prompt(
    prompt_id: str,
    name: str,
    description: str,
    prompt_text: str,
    json_schema: Mapping[str, Any],
    video_level: VideoLevel,
) -> Prompt:
    return Prompt(
        prompt_id=prompt_id,
        owner_id=DEFAULT_OWNER,
        name=name,
        description=description,
        prompt_text=prompt_text,
        json_schema=json_schema,
        video_level=video_level,
        semantic_indexing=SemanticIndexing(),
        is_active=True,
        created_at=_SHIPPED_AT,
    )


_SCENE_SUMMARY = _prompt(
    "prompt_default_scene_summary",
    "Scene summary",
    "What happens in each segment, where and in which mood; a summary of the whole.",
    "Describe this segment for somebody who can't see it: what happens, where, who takes part and "
    "in which mood. Say only what can be seen or heard; leave empty what can't be told.",
    _object(
        {
            "title": _text("A headline of at most eight words"),
            "summary": _text("What happens, in one to three sentences"),
            "setting": _text("Where it takes place"),
            "people": _texts("Who takes part, a short description each", 10),
            "mood": _text("The mood in one or two words"),
        },
        "summary",
    ),
    VideoLevel(
        instructions_text="Sum up the whole from its segments, in the order of time: what it is "
        "about, its course, and its most telling moments.",
        json_schema=_object(
            {
                "summary": _text("What it is about, in at most five sentences"),
                "highlights": _texts("The most telling moments, in order", 10),
            },
            "summary",
        ),
    ),
)

_SPOKEN_CONTENT = _prompt(
    "prompt_default_spoken_content",
    "Spoken content",
    "What is talked about: topics, statements, questions, names.",
    "Work out what is said in this segment: the topics, the main statements, the questions that "
    "are asked and the names that are mentioned. Where nobody speaks, leave the lists empty.",
    _object(
        {
            "has_speech": {"type": "boolean", "description": "Whether anybody speaks"},
            "summary": _text("What is said, in one or two sentences"),
            "topics": _texts("What it is about, a few words each", 8),
            "statements": _texts("The main statements", 8),
            "questions": _texts("The questions that are asked", 8),
            "names": _texts("People, places and organisations that are mentioned", 12),
        },
        "has_speech",
        "summary",
        "topics",
    ),
    VideoLevel(
        instructions_text="Sum up what is said from beginning to end, and list the topics in the "
        "order in which they come up.",
        json_schema=_object(
            {
                "summary": _text("What is said, in at most five sentences"),
                "topics": _texts("The topics, in order", 20),
            },
            "summary",
        ),
    ),
)

_OBJECTS_AND_TEXT = _prompt(
    "prompt_default_objects_and_text",
    "Objects and on-screen text",
    "Which things can be seen, and every text that can be read.",
    "List the things that can be seen in this segment and every text that can be read on screen: "
    "signs, captions, labels, slides. Copy text exactly; invent nothing.",
    _object(
        {
            "objects": {
                "type": "array",
                "description": "The things that can be seen, the most prominent first",
                "maxItems": 15,
                "items": _object(
                    {
                        "name": _text("What it is"),
                        "description": _text("Colour, state or use, where it can be told"),
                    },
                    "name",
                ),
            },
            "on_screen_text": _texts("Every text that can be read, exactly as written", 20),
        },
        "objects",
        "on_screen_text",
    ),
    VideoLevel(
        instructions_text="Gather the things and the texts that matter for the whole, each once.",
        json_schema=_object(
            {
                "objects": _texts("The things that matter", 30),
                "on_screen_text": _texts("The texts that matter, exactly as written", 30),
            },
            "objects",
            "on_screen_text",
        ),
    ),
)

DEFAULT_PROMPTS = (_SCENE_SUMMARY, _SPOKEN_CONTENT, _OBJECTS_AND_TEXT)
