"""Looks at a medium and listens to it in one pass, and keeps what it saw and heard as signals."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from fractions import Fraction
from functools import cache, partial
from typing import Any

from threadpoolctl import threadpool_limits

from promptreel_server.domain.media import MediaType
from promptreel_server.media.frames.decode import Frames, Sound, Wanted, decoded
from promptreel_server.media.process.ffmpeg import Ffmpeg, locate
from promptreel_server.segmenters.audio.audio_pass import Listener
from promptreel_server.segmenters.audio.events import sounds
from promptreel_server.segmenters.audio.voice_activity import SAMPLE_RATE
from promptreel_server.segmenters.even_windows import joined
from promptreel_server.segmenters.segmenter import Progress, SegmentationRequest
from promptreel_server.segmenters.shots.footage import HEIGHT, WIDTH
from promptreel_server.segmenters.shots.shots import ShotFinder
from promptreel_server.segmenters.signals import Signals, Span


async def survey(
    programs: Ffmpeg | None,
    request: SegmentationRequest,
    progress: Progress,
    *,
    listen: bool = True,
    threads: int = 1,
) -> Signals:
    """Find the signals of a medium that are not known yet; raises MediaUnreadable.

    Decoding runs in a process of its own and the arithmetic in a thread, a few hundred frames at
    a time: memory does not grow with the medium. Without `listen` only the shots are looked for;
    without `programs` those on this machine are.
    """
    facts = request.facts
    known = Signals().joined(request.known)
    look = known.shots is None and request.media_type is MediaType.VIDEO and facts.has_video
    listen = listen and known.speech is None and facts.has_audio
    if look or listen:
        wanted = Wanted(
            width=WIDTH if look else 0,
            height=HEIGHT if look else 0,
            sample_rate=SAMPLE_RATE if listen else 0,
            threads=threads,
        )
        if programs is None:
            programs = await asyncio.to_thread(locate)
        known = (await _surveyed(programs, request, progress, wanted)).joined(known)
    progress(facts.duration, facts.duration)
    return known


async def _surveyed(
    programs: Ffmpeg, request: SegmentationRequest, progress: Progress, wanted: Wanted
) -> Signals:
    facts = request.facts
    finder, listener = ShotFinder(facts.time_base), Listener()
    found = Signals()
    with _thread() as run:
        await run(_one_thread_each)
        async with decoded(programs, request.path, facts, wanted) as pieces:
            async for piece in pieces:
                match piece:
                    case Frames(frames=frames, ticks=ticks):
                        await run(finder.feed, frames, ticks)
                        reached = int(ticks[-1]) * facts.time_base
                    case Sound(samples=samples, start=start):
                        await run(listener.feed, samples, start)
                        reached = start + Fraction(len(samples), SAMPLE_RATE)
                if wanted.width == 0 or isinstance(piece, Frames):
                    progress(_within(reached - facts.start, facts.duration), facts.duration)
        if wanted.width:
            begins = [tick * facts.time_base for tick in await run(finder.finish)]
            found = replace(found, shots=_shots(facts.start, facts.end, begins))
        if wanted.sample_rate:
            heard = await run(lambda: sounds(listener.finish()))
            found = replace(
                found,
                speech=heard.speech,
                music=heard.music,
                silence=heard.silence,
                pauses=heard.pauses,
            )
    return found


@contextmanager
def _thread() -> Iterator[Callable[..., Awaitable[Any]]]:
    """Run all the arithmetic of a survey in one thread.

    Of several, each would keep memory of its own for as long as the process lives.
    """
    executor = ThreadPoolExecutor(1, thread_name_prefix="survey")
    try:
        yield partial(asyncio.get_running_loop().run_in_executor, executor)
    finally:
        executor.shutdown(wait=False, cancel_futures=True)


@cache
def _one_thread_each() -> None:
    """Keep numpy from dividing its products among all cores, for the rest of the process.

    They are so small that its threads wait for each other, and the cores are for other media.
    """
    threadpool_limits(limits=1, user_api="blas")


def _shots(start: Fraction, end: Fraction, begins: list[Fraction]) -> tuple[Span, ...]:
    """The shots from the first to the last presented instant."""
    return joined([start, *(begin for begin in begins if start < begin < end), end])


def _within(done: Fraction, duration: Fraction) -> Fraction:
    return max(Fraction(0), min(done, duration))
