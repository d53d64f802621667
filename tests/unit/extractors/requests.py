"""Requests that extractor tests are made of."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from promptreel_server.domain.media import MediaFacts, MediaType
from promptreel_server.extractors.extractor import (
    ExtractionRequest,
    SynthesisRequest,
    SynthesisSource,
)

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "summary": {"type": "string"},
        "mood": {"type": "string", "enum": ["calm", "tense", "unclear"]},
    },
    "required": ["summary"],
}
FACTS = MediaFacts(
    media_type=MediaType.VIDEO, container="mp4", start=Fraction(0), duration=Fraction(60)
)


def extraction_request(**changes: Any) -> ExtractionRequest:
    """A request for seconds 0 to 5 of a clip without sound, with `changes`."""
    request = ExtractionRequest(
        run_id="run_1",
        video_id="vid_1",
        segment_id="seg_1",
        path=Path("clip.mp4"),
        media_sha256="0" * 64,
        facts=FACTS,
        title="A clip",
        start=0.0,
        end=5.0,
        prompt_text="Say what is seen.",
        json_schema=SCHEMA,
        transcript=None,
    )
    return replace(request, **changes)


def synthesis_request(count: int = 2, **changes: Any) -> SynthesisRequest:
    """A request to synthesize `count` segments of five seconds, with `changes`."""
    request = SynthesisRequest(
        run_id="run_1",
        video_id="vid_1",
        title="A clip",
        facts=FACTS,
        instructions_text="Say what it was about.",
        json_schema=SCHEMA,
        sources=[
            SynthesisSource(
                segment_id=f"seg_{n}", start=5.0 * n, end=5.0 * n + 5, fields={"summary": f"S{n}"}
            )
            for n in range(count)
        ],
    )
    return replace(request, **changes)
