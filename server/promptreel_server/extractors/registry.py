"""Which extractor a `processing_model` means; each is made when it is first asked for."""

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from promptreel_server.errors import Unavailable, UnknownModel
from promptreel_server.extractors.extractor import Extractor
from promptreel_server.extractors.provider_options import GeminiOptions, OpenAiOptions

if TYPE_CHECKING:
    from promptreel_server.extractors.local.evidence import Labeller


@dataclass(frozen=True, kw_only=True)
class ExtractorOptions:
    """What extractors are made with."""

    canned_scripts: Path | None = None
    """A JSON file of scripts by name for `canned:<name>`; its `default` is `canned` itself."""
    models: Path | None = None
    """The folder of the pulled models; None: the user's cache."""
    ffmpeg: Path | None = None
    """None: the one on PATH, else the wheel's."""
    ffprobe: Path | None = None
    labeller: "Labeller | None" = None
    """Says what frames show, as evidence for `local`: the image embedder of the server."""
    threads: int | None = None
    """Threads of a local model; None: one less than there are processors."""
    idle_seconds: float = 120.0
    """How long a local model stays in memory after its last call."""
    gemini: GeminiOptions = field(default_factory=GeminiOptions)
    openai: OpenAiOptions = field(default_factory=OpenAiOptions)


class Extractors:
    """The ExtractorFactory of a server: one extractor a model, kept until `close`."""

    def __init__(self, options: ExtractorOptions | None = None) -> None:
        self._options = options or ExtractorOptions()
        self._made: dict[str, Extractor] = {}

    def known_models(self) -> tuple[str, ...]:
        """The names and name patterns that `extractor` takes."""
        return tuple(f"{name}{rest}" for name, (rest, _) in _FAMILIES.items())

    def extractor(self, processing_model: str) -> Extractor:
        """Answer the extractor of a model; the same one every time.

        Raises:
            UnknownModel: no such model, or no such canned script.
            Unavailable: the model's runtime, weights, key or address are missing.
        """
        made = self._made.get(processing_model)
        if made is None:
            made = _make(processing_model, self._options, self.known_models())
            self._made[processing_model] = made
        return made

    async def close(self) -> None:
        """Close every extractor that was made."""
        made, self._made = self._made, {}
        for extractor in made.values():
            await extractor.close()


def _make(name: str, options: ExtractorOptions, known: tuple[str, ...]) -> Extractor:
    for prefix, (_, make) in _FAMILIES.items():
        if name == prefix or (prefix.endswith((":", "-")) and name.startswith(prefix)):
            return make(name, options)
    raise UnknownModel(
        f'processing_model: "{name[:100]}" is not known; it is one of {", ".join(known)}'
    )


def _canned(name: str, options: ExtractorOptions) -> Extractor:
    from promptreel_server.extractors.canned.extractor import (
        CannedExtractor,
        CannedScript,
        read_scripts,
    )

    scripts = read_scripts(options.canned_scripts) if options.canned_scripts else {}
    wanted = name.partition(":")[2] or "default"
    scripts.setdefault("default", CannedScript())
    if wanted not in scripts:
        known = ", ".join(f"canned:{script}" for script in sorted(scripts))
        raise UnknownModel(f'processing_model: no canned script "{wanted[:100]}"; there is {known}')
    return CannedExtractor(scripts[wanted], model=name)


def _local(_name: str, options: ExtractorOptions) -> Extractor:
    from promptreel_server.extractors.local.extractor import LocalExtractor
    from promptreel_server.media.process.ffmpeg import locate
    from promptreel_server.weights.shelf import Shelf

    return LocalExtractor(
        ffmpeg=locate(options.ffmpeg, options.ffprobe),
        shelf=Shelf(options.models),
        labeller=options.labeller,
        threads=options.threads,
        idle_seconds=options.idle_seconds,
    )


def _gemini(name: str, options: ExtractorOptions) -> Extractor:
    if find_spec("google") is None or find_spec("google.genai") is None:
        raise Unavailable(
            'Gemini models need google-genai; install it with: pip install "promptreel[gemini]"'
        )
    from promptreel_server.extractors.gemini.extractor import GeminiExtractor
    from promptreel_server.media.process.ffmpeg import locate

    ffmpeg = locate(options.ffmpeg, options.ffprobe)
    return GeminiExtractor(name, options=options.gemini, ffmpeg=ffmpeg)


def _openai(name: str, options: ExtractorOptions) -> Extractor:
    from promptreel_server.extractors.openai.extractor import OpenAiExtractor
    from promptreel_server.media.process.ffmpeg import locate

    ffmpeg = locate(options.ffmpeg, options.ffprobe)
    return OpenAiExtractor(name, options=options.openai, ffmpeg=ffmpeg)


_Make = Callable[[str, ExtractorOptions], Extractor]

_FAMILIES: dict[str, tuple[str, _Make]] = {
    "local": ("", _local),
    "gemini-": ("<version>", _gemini),
    "openai:": ("<model>", _openai),
    "canned": ("", _canned),
    "canned:": ("<script>", _canned),
}
"""By name, or by prefix where it ends in a colon or a hyphen: what follows it, and who makes it.

Makers import their model's runtime themselves, so that an idle server stays small.
"""
