"""The models of a server: each made when it is first asked for, all let go of at its end."""

from promptreel_server.embedders.embedder import ImageEmbedder
from promptreel_server.engine.drive.resources import Lazy
from promptreel_server.errors import Unavailable
from promptreel_server.extractors.provider_options import GeminiOptions, OpenAiOptions
from promptreel_server.extractors.registry import ExtractorOptions, Extractors
from promptreel_server.media.process.ffmpeg import Ffmpeg
from promptreel_server.settings import Settings
from promptreel_server.transcribers.transcriber import Transcriber
from promptreel_server.weights.shelf import Shelf


class Models:
    """Extractors, speech recognition and image embedding, as the settings choose them."""

    def __init__(self, settings: Settings, ffmpeg: Ffmpeg) -> None:
        shelf = Shelf(settings.models)
        self.transcriber: Lazy[Transcriber] = Lazy(lambda: _transcriber(ffmpeg, shelf))
        self.embedder: Lazy[ImageEmbedder] = Lazy(lambda: _embedder(shelf))
        self.extractors = Extractors(
            ExtractorOptions(
                canned_scripts=settings.canned_scripts,
                models=settings.models,
                ffmpeg=ffmpeg.ffmpeg,
                ffprobe=ffmpeg.ffprobe,
                labeller=_labeller(self.embedder),
                gemini=_gemini(settings),
                openai=_openai(settings),
            )
        )

    async def close(self) -> None:
        """Let go of every model that was made."""
        await self.extractors.close()
        for made in (self.transcriber.made, self.embedder.made):
            if made is not None:
                await made.close()


def _gemini(settings: Settings) -> GeminiOptions:
    return GeminiOptions(
        api_key=settings.gemini_api_key,
        base_url=settings.gemini_base_url,
        fps=settings.gemini_fps,
        media_resolution=settings.gemini_media_resolution,
        thinking_budget=settings.gemini_thinking_budget,
        call_seconds=settings.provider_call_seconds,
    )


def _openai(settings: Settings) -> OpenAiOptions:
    return OpenAiOptions(
        api_key=settings.openai_api_key,
        base_url=settings.openai_base_url,
        frames=settings.openai_frames,
        prompt_characters=settings.openai_prompt_characters,
        call_seconds=settings.provider_call_seconds,
    )


def _transcriber(ffmpeg: Ffmpeg, shelf: Shelf) -> Transcriber:
    from promptreel_server.transcribers.whisper import WhisperTranscriber

    return WhisperTranscriber(ffmpeg=ffmpeg, shelf=shelf)


def _embedder(shelf: Shelf) -> ImageEmbedder:
    from promptreel_server.embedders.efficientnet import EfficientNet

    return EfficientNet(shelf=shelf)


def _labeller(embedder: Lazy[ImageEmbedder]) -> ImageEmbedder | None:
    """What says for the local model what frames show; None where its runtime is missing."""
    try:
        return embedder.get()
    except Unavailable:
        return None
