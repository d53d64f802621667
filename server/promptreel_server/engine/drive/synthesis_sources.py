"""What a synthesis reads: the chosen fields of each segment that has a result."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from promptreel_server.domain.segment import SegmentRun
from promptreel_server.extractors.extractor import SynthesisSource


@dataclass(frozen=True, kw_only=True)
class Material:
    """What there is to make a synthesis of, and which segments have nothing to give."""

    sources: tuple[SynthesisSource, ...]
    omitted: tuple[str, ...]

    @property
    def fingerprint(self) -> str:
        """Changes whenever a synthesis of this would read something else."""
        said = [[s.segment_id, s.start, s.end, s.fields] for s in self.sources]
        text = json.dumps([said, self.omitted], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def source(found: SegmentRun, included: Sequence[str]) -> SynthesisSource:
    """What one segment with a result gives; no fields named: all of them and what is said."""
    fields: dict[str, Any] = {}
    metadata = found.metadata or {}
    said = found.transcript.text if found.transcript else ""
    if not included:
        fields.update(metadata)
    for path in included:
        if path == "metadata_text":
            fields["metadata_text"] = found.metadata_text
        elif path != "transcription":
            _copy(metadata, path.split("."), fields)
    if said and (not included or "transcription" in included):
        fields["transcription"] = said
    start, end = found.segment.seconds
    return SynthesisSource(
        segment_id=found.segment.segment_id,
        start=start,
        end=end,
        fields=fields,
    )


def _copy(value: Mapping[str, Any], path: Sequence[str], into: dict[str, Any]) -> None:
    """Copy what lies at a dotted path, such as `scene.people[].emotion`, keeping its place."""
    name, repeated = path[0].removesuffix("[]"), path[0].endswith("[]")
    if name not in value:
        return
    found = value[name]
    if len(path) == 1:
        into[name] = found
    elif repeated and isinstance(found, list):
        kept = into.setdefault(name, [{} for _ in found])
        for element, place in zip(found, kept, strict=False):
            if isinstance(element, Mapping):
                _copy(element, path[1:], place)
    elif isinstance(found, Mapping):
        _copy(found, path[1:], into.setdefault(name, {}))
