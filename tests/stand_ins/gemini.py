"""A stand-in Gemini: its real protocol over HTTP, with faults on demand, counting what it gets."""

import base64
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from promptreel_server.extractors.json_schema.compiled import sample
from tests.stand_ins.wire import Asked, Reply, reply, served

KEY = "AIza-stand-in-key-0123456789"
Answer = Mapping[str, Any]
Fault = Callable[["StandInGemini", Answer], Reply]
"""Makes the answer to one generateContent out of the good one."""

_TYPE = "type.googleapis.com/google.rpc."


def error(status: int, name: str, message: str, *details: Any, **headers: str) -> Reply:
    said = {"code": status, "message": message, "status": name, "details": list(details)}
    return reply({"error": said}, status, **headers)


def failing(status: int, name: str, *details: Any, **headers: str) -> Fault:
    return lambda _gemini, _good: error(status, name, f"No: {name}.", *details, **headers)


def retry_info(seconds: float) -> Any:
    return {"@type": f"{_TYPE}RetryInfo", "retryDelay": f"{seconds:g}s"}


def quota(quota_id: str) -> Any:
    return {"@type": f"{_TYPE}QuotaFailure", "violations": [{"quotaId": quota_id}]}


def html(status: int) -> Fault:
    page = Reply(
        status=status,
        body=b"<html><h1>Bad gateway</h1></html>",
        headers={"content-type": "text/html"},
    )
    return lambda _gemini, _good: page


def reset(_gemini: "StandInGemini", _good: Answer) -> Reply:
    return Reply(reset=True)


def late(seconds: float) -> Fault:
    return lambda _gemini, good: replace(reply(good), delay=seconds)


def ended(reason: str, text: str | None = None) -> Fault:
    """A candidate that ended for this reason, with this text or the whole good one."""

    def end(_gemini: "StandInGemini", good: Answer) -> Reply:
        candidate = dict(good["candidates"][0]) | {"finishReason": reason}
        if text is not None:
            candidate["content"] = {"role": "model", "parts": [{"text": text}] if text else []}
        return reply({**good, "candidates": [candidate]})

    return end


def halved(_gemini: "StandInGemini", good: Answer) -> Reply:
    """The first half of the answer, as if it were all of it."""
    text = good["candidates"][0]["content"]["parts"][-1]["text"]
    return ended("STOP", text[: len(text) // 2])(_gemini, good)


def blocked_prompt(_gemini: "StandInGemini", good: Answer) -> Reply:
    counts = {"promptTokenCount": 900, "totalTokenCount": 900}
    return reply({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": counts})


def no_candidates(_gemini: "StandInGemini", good: Answer) -> Reply:
    return reply({"usageMetadata": good["usageMetadata"]})


def expired(gemini: "StandInGemini", _good: Answer) -> Reply:
    """Forget every upload, as after two days."""
    gemini.files.clear()
    said = "You do not have permission to access the File abc or it may not exist."
    return error(403, "PERMISSION_DENIED", said)


@dataclass(kw_only=True)
class StandInGemini:
    """What it was told to do, and what it was asked."""

    faults: list[Fault] = field(default_factory=list)
    """For the next generateContents, one each."""
    always: Fault | None = None
    upload_faults: list[Reply] = field(default_factory=list)
    """For the next pieces of uploads, one each."""
    looks_until_active: int = 1
    fails_processing: bool = False
    lasts: timedelta = timedelta(hours=48)
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    uploaded_bytes: int = 0
    uploads: int = 0
    deleted: list[str] = field(default_factory=list)
    asked: list[Any] = field(default_factory=list)
    asked_at: list[float] = field(default_factory=list)
    """When, in seconds of a clock of its own."""
    url: str = ""
    _sessions: dict[str, dict[str, Any]] = field(default_factory=dict)
    _looks: dict[str, int] = field(default_factory=dict)

    def answer(self, asked: Asked) -> Reply:
        if "/upload/session/" in asked.path:
            return self._piece(asked)
        if asked.headers.get("x-goog-api-key") != KEY:
            reason = {"@type": f"{_TYPE}ErrorInfo", "reason": "API_KEY_INVALID"}
            said = f"API key not valid: {asked.headers.get('x-goog-api-key')}"
            return error(400, "INVALID_ARGUMENT", said, reason)
        if asked.path == "/upload/v1/files":
            return self._start(asked)
        if asked.path.startswith("/v1/files/"):
            return self._file(asked)
        if asked.path.endswith(":generateContent"):
            return self._generate(asked)
        return error(404, "NOT_FOUND", f"no such path: {asked.path}")

    @property
    def inline_bytes(self) -> int:
        """Bytes of media that came within requests."""
        return sum(
            len(base64.urlsafe_b64decode(one["inlineData"]["data"]))
            for body in self.asked
            for content in body["contents"]
            for one in content["parts"]
            if "inlineData" in one
        )

    def parts(self, number: int = -1) -> Any:
        """The parts of the first message of a request."""
        return self.asked[number]["contents"][0]["parts"]

    def _start(self, asked: Asked) -> Reply:
        assert asked.headers["x-goog-upload-protocol"] == "resumable"
        assert asked.headers["x-goog-upload-command"] == "start"
        file = asked.json["file"]
        name = file.get("name") or f"files/made-{len(self.files)}"
        if name in self.files:
            return error(409, "ALREADY_EXISTS", f"{name} is there already")
        session = f"/upload/session/{len(self._sessions)}"
        self._sessions[session] = {
            "name": name,
            "mimeType": asked.headers["x-goog-upload-header-content-type"],
            "size": int(asked.headers["x-goog-upload-header-content-length"]),
            "got": 0,
        }
        return reply({}, x_goog_upload_url=f"{self.url}{session}", x_goog_upload_status="active")

    def _piece(self, asked: Asked) -> Reply:
        session = self._sessions[asked.path]
        if self.upload_faults:
            return self.upload_faults.pop(0)
        assert int(asked.headers["x-goog-upload-offset"]) == session["got"]
        session["got"] += len(asked.body)
        self.uploaded_bytes += len(asked.body)
        if "finalize" not in asked.headers["x-goog-upload-command"]:
            return reply({}, x_goog_upload_status="active")
        assert session["got"] == session["size"]
        self.uploads += 1
        name = session["name"]
        self.files[name] = {
            "name": name,
            "uri": f"{self.url}/v1/{name}#{self.uploads}",
            "mimeType": session["mimeType"],
            "sizeBytes": str(session["size"]),
            "expirationTime": (datetime.now(UTC) + self.lasts).isoformat(),
        }
        return reply({"file": self._seen(name)}, x_goog_upload_status="final")

    def _file(self, asked: Asked) -> Reply:
        name = asked.path.removeprefix("/v1/")
        if name not in self.files:
            return error(403, "PERMISSION_DENIED", "no permission for the File or it is not there")
        if asked.method == "DELETE":
            del self.files[name]
            self.deleted.append(name)
            return reply({})
        return reply(self._seen(name))

    def _seen(self, name: str) -> dict[str, Any]:
        """A file as it stands: PROCESSING for a while, then ACTIVE or FAILED."""
        looks = self._looks[name] = self._looks.get(name, -1) + 1
        if looks < self.looks_until_active:
            return self.files[name] | {"state": "PROCESSING"}
        if self.fails_processing:
            return self.files[name] | {"state": "FAILED", "error": {"message": "bad codec"}}
        return self.files[name] | {"state": "ACTIVE"}

    def _generate(self, asked: Asked) -> Reply:
        self.asked.append(asked.json)
        self.asked_at.append(time.monotonic())
        for part in self.parts():
            uri = part.get("fileData", {}).get("fileUri")
            if uri and uri not in [file["uri"] for file in self.files.values()]:
                said = "You do not have permission to access the File or it may not exist."
                return error(403, "PERMISSION_DENIED", said)
        good = self._good(asked.json)
        fault = self.faults.pop(0) if self.faults else self.always
        return reply(good) if fault is None else fault(self, good)

    def _good(self, body: Any) -> Answer:
        schema = body["generationConfig"].get("responseJsonSchema")
        text = json.dumps(sample(schema)) if schema else '{"summary": "said"}'
        counts = {
            "promptTokenCount": 1300,
            "candidatesTokenCount": 40,
            "thoughtsTokenCount": 25,
            "cachedContentTokenCount": 1000,
            "totalTokenCount": 1365,
            "promptTokensDetails": [
                {"modality": "VIDEO", "tokenCount": 1100},
                {"modality": "AUDIO", "tokenCount": 125},
            ],
        }
        thought = {"text": "Let me look.", "thought": True}
        content = {"role": "model", "parts": [thought, {"text": text}]}
        return {
            "candidates": [{"content": content, "finishReason": "STOP", "index": 0}],
            "usageMetadata": counts,
            "modelVersion": "gemini-stand-in",
        }


@asynccontextmanager
async def gemini_served() -> AsyncIterator[StandInGemini]:
    """Serve a stand-in for the length of the block."""
    gemini = StandInGemini()
    async with served(lambda asked: gemini.answer(camel_asked(asked))) as url:
        gemini.url = url
        yield gemini


def camel_asked(asked: Asked) -> Asked:
    """The client writes some names in snake_case, which the real server takes as well."""
    if not asked.path.endswith((":generateContent", "/files")) or not asked.body:
        return asked
    return replace(asked, body=json.dumps(_camel(asked.json)).encode())


def _camel(value: Any) -> Any:
    if isinstance(value, list):
        return [_camel(child) for child in value]
    if not isinstance(value, dict):
        return value
    return {
        _camel_name(name): child if _camel_name(name) == "responseJsonSchema" else _camel(child)
        for name, child in value.items()
    }


def _camel_name(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)
