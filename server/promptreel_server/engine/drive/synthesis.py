"""The media-wide result: made from what the segments yielded, redone when that changes."""

import logging
from dataclasses import replace

from promptreel_server.domain.prompt import VideoLevel
from promptreel_server.domain.run import Synthesis, SynthesisStatus
from promptreel_server.engine.dispatch.stop_flags import Stopped, pause_unless_stopped
from promptreel_server.engine.drive.durable_write import kept
from promptreel_server.engine.drive.resources import Means
from promptreel_server.engine.drive.segment_operations import Scene, internal, learn
from promptreel_server.engine.drive.synthesis_sources import Material, source
from promptreel_server.engine.model_calls import call_cache
from promptreel_server.engine.model_calls.call_cache import Fingerprints
from promptreel_server.errors import FailureCode
from promptreel_server.extractors.extractor import Extraction, SynthesisRequest, SynthesisSource
from promptreel_server.extractors.json_schema.leaves import metadata_text
from promptreel_server.store.runs import llm_calls, run_segments, syntheses
from promptreel_server.store.runs.syntheses import SynthesisOutcome

log = logging.getLogger(__name__)

BATCH = 1000


class Synthesizer:
    """Makes the synthesis of a media item of a run, where its prompt asks for one."""

    def __init__(self, means: Means) -> None:
        self._means = means

    async def make(self, scene: Scene) -> None:
        """Make it, unless one was made of the same material already."""
        level = scene.run.prompt.video_level
        if level is None:
            return
        database = self._means.database
        run_id, video_id = scene.run.run_id, scene.item.video_id
        material = await self._gather(run_id, video_id, level)
        standing = await database.read(lambda c: syntheses.fetch(c, run_id, video_id))
        if standing.status.terminal and standing.source_fingerprint == material.fingerprint:
            return
        await database.write(lambda tx: syntheses.start(tx, scene.held))
        outcome = await self._write(scene, level, material)
        await kept(lambda: database.write(lambda tx: syntheses.finish(tx, outcome)))

    async def _gather(self, run_id: str, video_id: str, level: VideoLevel) -> Material:
        sources: list[SynthesisSource] = []
        omitted: list[str] = []
        after = -1
        while batch := await self._means.database.read(
            lambda c, after=after: run_segments.batch(  # type: ignore[misc]
                c, run_id, video_id, after=after, limit=BATCH
            )
        ):
            after = batch[-1].segment.ordinal
            for found in batch:
                if found.metadata is None:
                    omitted.append(found.segment.segment_id)
                else:
                    sources.append(source(found, level.included_segment_fields))
        return Material(sources=tuple(sources), omitted=tuple(omitted))

    async def _write(self, scene: Scene, level: VideoLevel, material: Material) -> SynthesisOutcome:
        base = Synthesis(
            run_id=scene.run.run_id,
            video_id=scene.item.video_id,
            status=SynthesisStatus.FAILED,
            successful_segments=len(material.sources),
            failed_segments=len(material.omitted),
            omitted_segment_ids=material.omitted,
            template_fields=level.included_segment_fields,
            source_fingerprint=material.fingerprint,
        )
        if not material.sources:
            made = replace(base, error_message="No segment has a result to make a synthesis of.")
            return SynthesisOutcome(
                item=scene.held, prompt_id=scene.run.prompt.prompt_id, synthesis=made
            )
        request = SynthesisRequest(
            run_id=scene.run.run_id,
            video_id=scene.item.video_id,
            title=scene.item.title,
            facts=scene.item.facts,
            instructions_text=level.instructions_text,
            json_schema=level.json_schema,
            sources=material.sources,
        )
        name = _name(scene, request, material)
        extraction = await self._earlier(scene, request, name)
        if extraction is None:
            extraction = await self._attempts(scene, request)
        return SynthesisOutcome(
            item=scene.held,
            prompt_id=scene.run.prompt.prompt_id,
            synthesis=_finished(scene, base, extraction),
            calls=extraction.calls,
            fingerprint=name if call_cache.may_serve(extraction) else None,
        )

    async def _earlier(
        self, scene: Scene, request: SynthesisRequest, name: str
    ) -> Extraction | None:
        """The result of an earlier run that asked just the same, where there is one."""
        if not scene.run.settings.reuse_llm_calls:
            return None
        database = self._means.database
        found = await database.read(lambda c: llm_calls.answered(c, scene.run.owner_id, (name,)))
        return call_cache.reused(request, found[name], database.clock()) if name in found else None

    async def _attempts(self, scene: Scene, request: SynthesisRequest) -> Extraction:
        """Attempt until it works or no attempt is left; the calls of all but the last are kept."""
        made = 0
        while True:
            extraction = await self._attempt(scene, request)
            made += 1
            failure = extraction.failure
            pause = None
            if failure is not None and scene.lane.broken is None:
                pause = self._means.policy.pause(failure, made)
            if pause is None or scene.stop.is_set():
                return extraction
            factor = request.output_limit_factor
            if failure is not None and failure.failure_code is FailureCode.OUTPUT_TRUNCATED:
                factor *= 2
            request = replace(request, attempt=made + 1, output_limit_factor=factor)
            await self._keep_calls(scene, extraction)
            await pause_unless_stopped(pause, scene.stop)

    async def _attempt(self, scene: Scene, request: SynthesisRequest) -> Extraction:
        async with scene.lane.place(scene.run.owner_id):
            if scene.stop.is_set():
                raise Stopped
            try:
                extraction = await scene.extractor.synthesize(request)
            except Exception:  # one bad synthesis must not hold up the run
                log.exception("synthesis broke", extra={"video_id": request.video_id})
                extraction = Extraction(failure=internal("synthesis"))
            learn(scene.lane, scene.run.owner_id, extraction)
        return extraction

    async def _keep_calls(self, scene: Scene, extraction: Extraction) -> None:
        prompt_id = scene.run.prompt.prompt_id
        database = self._means.database
        await kept(
            lambda: database.write(
                lambda tx: llm_calls.record(tx, scene.held, prompt_id, extraction.calls)
            )
        )


def _name(scene: Scene, request: SynthesisRequest, material: Material) -> str:
    fingerprints = Fingerprints(
        scene.extractor,
        media_sha256=scene.item.sha256,
        prompt_text=request.instructions_text,
        json_schema=request.json_schema,
    )
    return fingerprints.of_all(material.fingerprint)


def _finished(scene: Scene, base: Synthesis, extraction: Extraction) -> Synthesis:
    """The synthesis that an extraction came to."""
    asked = replace(
        base,
        raw_response=extraction.raw_response,
        rendered_prompt_chars=extraction.rendered_prompt_chars,
        llm_attempted=any(not call.cached for call in extraction.calls),
        processing_warning=extraction.warning,
    )
    if extraction.metadata is None:
        failure = extraction.failure or internal("synthesis")
        return replace(asked, status=SynthesisStatus.FAILED, error_message=failure.message)
    disabled = scene.run.prompt.semantic_indexing.disabled_video_level_fields
    return replace(
        asked,
        status=SynthesisStatus.PARTIAL if base.omitted_segment_ids else SynthesisStatus.COMPLETED,
        metadata=extraction.metadata,
        metadata_text=metadata_text(extraction.metadata, disabled),
    )
