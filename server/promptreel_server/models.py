"""Chooses the models of a server: which there are, and what they are made with."""

from promptreel_server.embedders.embedder import ImageEmbedder
from promptreel_server.errors import Unavailable
from promptreel_server.extractors.extractor import ExtractorFactory
from promptreel_server.extractors.models import ExtractorOptions, Extractors
from promptreel_server.media.ffmpeg import Ffmpeg
from promptreel_server.settings import Settings
from promptreel_server.transcribers.transcriber import Transcriber
from promptreel_server.weights.shelf import Shelf


def extractors(settings: Settings) -> ExtractorFactory:
    """The extractors that runs can name; each is made when it is first asked for."""
    return Extractors(ExtractorOptions(canned_scripts=settings.canned_scripts))


def transcriber(settings: Settings, ffmpeg: Ffmpeg) -> Transcriber:
    """The speech recognition of a server.

    Raises:
        Unavailable: the extra or the weights are missing.
    """
    from promptreel_server.transcribers.whisper import WhisperTranscriber

    return WhisperTranscriber(ffmpeg=ffmpeg, shelf=Shelf(settings.models))


def embedder(settings: Settings) -> ImageEmbedder:
    """The image embedding of a server.

    Raises:
        Unavailable: the extra or the weights are missing.
    """
    raise Unavailable("Image embedding is not built yet.")
