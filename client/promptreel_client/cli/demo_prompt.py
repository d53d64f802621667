"""The prompt that the demo runs: a few fields a segment, and a synthesis."""

from typing import Any

NAME = "What happens, scene by scene"

TEXT = (
    "Say what this stretch of the video shows and what is said in it. Use only what the transcript,"
    " the on-screen text and the labels support; leave a field empty where they say nothing."
)

JSON_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "summary": {
            "type": "string",
            "maxLength": 160,
            "description": "What happens, in one sentence.",
        },
        "scene": {
            "type": "object",
            "properties": {
                "setting": {
                    "type": "string",
                    "enum": ["indoors", "outdoors", "studio", "unknown"],
                    "description": "Where it takes place.",
                },
                "subjects": {
                    "type": "array",
                    "items": {"type": "string", "maxLength": 30},
                    "maxItems": 4,
                    "description": "What can be seen.",
                },
            },
            "required": ["setting", "subjects"],
        },
        "on_screen_text": {
            "type": "array",
            "items": {"type": "string", "maxLength": 60},
            "maxItems": 4,
            "description": "Words that are written in the picture.",
        },
    },
    "required": ["summary", "scene", "on_screen_text"],
}

VIDEO_LEVEL: dict[str, Any] = {
    "instructions_text": (
        "Say what the video as a whole is about, from what its segments show and what is said."
    ),
    "json_schema": {
        "type": "object",
        "properties": {
            "title": {"type": "string", "maxLength": 80},
            "about": {"type": "string", "maxLength": 300},
            "topics": {
                "type": "array",
                "items": {"type": "string", "maxLength": 40},
                "maxItems": 5,
            },
        },
        "required": ["title", "about", "topics"],
    },
    "included_segment_fields": ["summary", "scene.subjects", "transcription"],
}
