"""The prompt that the demo runs: a few fields a segment, and a synthesis.

Worded for a small offline model: it copies what it is shown, so fields ask for what evidence can
hold, and what may be unknown may be null. Fields are answered in the order of their names, so what
is heard comes before what is written and seen, each after the question whether it is there at all.
"""

from typing import Any

NAME = "What is said, seen and written"

TEXT = "Fill in the fields from the evidence of one segment of a video."

_MAY_BE_UNKNOWN = {"type": ["string", "null"]}

JSON_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "heard": {
            "type": "object",
            "properties": {
                "is_speech": {"type": "boolean", "description": "Whether there are spoken words."},
                "says": {
                    **_MAY_BE_UNKNOWN,
                    "maxLength": 100,
                    "description": "What the spoken words say; null without spoken words.",
                },
            },
            "required": ["is_speech", "says"],
        },
        "screen": {
            "type": "object",
            "properties": {
                "has_text": {"type": "boolean", "description": "Whether there is text on screen."},
                "text": {
                    **_MAY_BE_UNKNOWN,
                    "maxLength": 80,
                    "description": "The text on screen; null if none.",
                },
            },
            "required": ["has_text", "text"],
        },
        "shows": {
            "type": "array",
            "items": {"type": ["string", "null"], "maxLength": 40},
            "maxItems": 3,
            "description": "What the picture may show, one thing an item.",
        },
    },
    "required": ["heard", "screen", "shows"],
}

VIDEO_LEVEL: dict[str, Any] = {
    "instructions_text": "Say what this video is about as a whole, and list what it shows.",
    "json_schema": {
        "type": "object",
        "properties": {
            "about": {
                "type": "string",
                "maxLength": 300,
                "description": "What is said in the whole video, in two sentences.",
            },
            "names": {
                "type": "array",
                "items": {"type": "string", "maxLength": 40},
                "maxItems": 5,
                "description": "Names of people.",
            },
            "shows": {
                "type": "array",
                "items": {"type": "string", "maxLength": 40},
                "maxItems": 8,
                "description": "What can be seen, one thing an item.",
            },
        },
        "required": ["about", "names", "shows"],
    },
    "included_segment_fields": ["screen.text", "shows", "transcription"],
}
