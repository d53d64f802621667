"""What transcription promises, heard on real recordings."""

import asyncio
import json
import subprocess
import sys
import time
import wave
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from promptreel_server.domain.segment import Transcript
from promptreel_server.errors import Unavailable
from promptreel_server.media.inspect.probe import probe
from promptreel_server.media.process.ffmpeg import locate
from promptreel_server.transcribers.transcriber import Transcriber, TranscriptionRequest
from promptreel_server.transcribers.whisper import WhisperTranscriber
from promptreel_server.weights.shelf import Shelf

SHARED = Path(__file__).parents[3] / "shared" / "media"
pytestmark = pytest.mark.models


@pytest.fixture
async def transcriber() -> AsyncIterator[Transcriber]:
    try:
        made = WhisperTranscriber(ffmpeg=locate(), shelf=Shelf())
    except Unavailable as error:
        pytest.skip(error.message)
    yield made
    await made.close()


async def _transcribe(transcriber: Transcriber, path: Path, told: list[float]) -> Transcript:
    facts = await probe(path, ffmpeg=locate())
    return await transcriber.transcribe(TranscriptionRequest(path=path, facts=facts), told.append)


def _recording(name: str) -> Path:
    path = SHARED / name
    if not path.exists():
        pytest.skip("the shared media are not here")
    return path


def _word_error_rate(scorer: list[str]) -> float:
    scored = subprocess.run(scorer, capture_output=True, text=True, check=True)
    return float(scored.stdout.rsplit("WER ", 1)[1].split()[0])


@pytest.mark.timeout(300)
async def test_real_speech_is_understood_with_word_times_on_the_clock(
    transcriber: Transcriber, tmp_path: Path
) -> None:
    recordings = ["real/jfk.flac", "shots/talking_head.mp4", "audio/noisy_speech.mp3"]
    told: list[float] = []
    said = {}
    for name in recordings:
        transcript = await _transcribe(transcriber, _recording(name), told)
        starts = [word.start for word in transcript.words]
        assert starts == sorted(starts)
        assert all(word.start <= word.end for word in transcript.words)
        assert transcript.language == "en"
        said[name] = transcript.text
    prediction = tmp_path / "said.json"
    prediction.write_text(json.dumps(said))
    scorer = [sys.executable, str(SHARED / "scripts" / "wer.py"), "--set", str(SHARED)]
    assert _word_error_rate([*scorer, "--pred", str(prediction)]) <= 0.12
    assert told


async def test_sound_without_speech_gives_an_empty_transcript(
    transcriber: Transcriber, tmp_path: Path
) -> None:
    noise = np.random.default_rng(7).normal(0, 0.05, 16000 * 8).astype(np.float32)
    hum = 0.2 * np.sin(2 * np.pi * 220 * np.arange(16000 * 8) / 16000).astype(np.float32)
    for name, samples in (("silence", noise * 0), ("noise", noise), ("hum", hum)):
        path = tmp_path / f"{name}.wav"
        with wave.open(str(path), "wb") as written:
            written.setparams((1, 2, 16000, 0, "NONE", ""))
            written.writeframes((samples * 32767).astype(np.int16).tobytes())
        transcript = await _transcribe(transcriber, path, [])
        assert (transcript.text, transcript.words) == ("", ())


@pytest.mark.timeout(300)
async def test_cancelling_ends_the_work_within_a_second_and_the_next_is_served(
    transcriber: Transcriber,
) -> None:
    path = _recording("shots/programme.mp4")
    task = asyncio.ensure_future(_transcribe(transcriber, path, []))
    await asyncio.sleep(4.0)
    assert not task.done()
    before = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - before < 1.0
    again = await _transcribe(transcriber, _recording("real/jfk.flac"), [])
    assert "country" in again.text
