"""One interleaving: an owner's calls, the faults between them, rest, and what must hold then."""

import asyncio
import contextvars
import logging
import tempfile
import traceback
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

from sqlalchemy import select

from promptreel_server.domain.ids import PROMPT, new_id
from promptreel_server.domain.prompt import Prompt, SemanticIndexing, VideoLevel
from promptreel_server.domain.run import RunSettings
from promptreel_server.domain.segment import SegmentationMode
from promptreel_server.domain.target import Target, TargetType
from promptreel_server.engine.admission import retry_orders
from promptreel_server.engine.admission.retry_orders import RetryOrder
from promptreel_server.engine.admission.run_orders import Order
from promptreel_server.engine.library.media_imports import Upload
from promptreel_server.errors import PromptreelError
from promptreel_server.store.catalogue import indexes, media, prompts
from promptreel_server.store.deletion import deletions
from promptreel_server.store.runs import runs
from promptreel_server.store.schema import tables
from promptreel_server.store.schema.transaction import Transaction
from tests.engines import SCHEMA
from tests.media_items import FACTS, media_item
from tests.simulation import invariants
from tests.simulation.backends import Backend, remove
from tests.simulation.scheduler import PROCESS, Process, Scheduler, Weather
from tests.simulation.world import OWNER, Server, World

PATIENCE = 1800.0
"""Virtual seconds within which everything must have come to rest once nothing breaks any more."""
SETTLING = 15.0
"""Virtual seconds after the last stall in which what woke up late may still do harm."""


class Violation(AssertionError):
    """An interleaving ended in a state that must not be."""


@dataclass
class Interleaving:
    """What one seed makes happen."""

    seed: int
    backend: Backend
    servers: int = 2
    trace: list[str] = field(default_factory=list)

    def run(self) -> None:
        """Play it.

        Raises:
            Violation: something does not hold; the message names the seed and how to replay it.
        """
        folder = Path(tempfile.mkdtemp(prefix="promptreel-simulation-", dir=_fast_folder()))
        self.backend.empty()
        scheduler = Scheduler(self.seed)  # type: ignore[abstract] # asks for what nobody uses here
        self.scheduler = scheduler
        self.dice = scheduler.dice
        self.excused: set[Process] = set()
        self.coming = [0.0, 0.0]
        """When what was put off will happen."""
        self.world = World.made(
            scheduler, self.backend, folder, trouble=self.dice.choice([0.0, 0.1, 0.4])
        )
        self.world.unreadable = self.dice.choice([0.0, 0.0, 0.3])
        logging.disable(logging.CRITICAL)
        try:
            with self.world.playing():
                main = scheduler.start(scheduler.outside, self._main)
                scheduler.run_until(main)
        except Violation:
            raise
        except Exception as error:
            told = "".join(traceback.format_exception(error))
            raise Violation(f"seed {self.seed} broke off:\n{told}{self.replay()}") from error
        finally:
            logging.disable(logging.NOTSET)
            remove(folder)

    def replay(self) -> str:
        """The command that plays it again."""
        return (
            f"replay: python -m tests.simulation --database {self.backend.name}"
            f" --servers {self.servers} --seed {self.seed}"
        )

    async def _main(self) -> None:
        for number in range(self.servers):
            self.world.start(f"server {number + 1}", offset=self.dice.choice([0.0, 0.0, -40.0]))
        await self._set_the_scene()
        async with asyncio.TaskGroup() as tasks:
            breaking = tasks.create_task(self._break())
            tasks.create_task(self._act()).add_done_callback(lambda _: breaking.cancel())
        await self._heal()
        await self._rest()
        self._judge()

    # The owner

    async def _set_the_scene(self) -> None:
        self.scheduler.weather = Weather()
        levels = [self.dice.random() < 0.5 for _ in range(2)]
        self.prompts = [_prompt(level) for level in levels]
        items = [
            media_item(
                OWNER,
                content=str(number),
                facts=replace(
                    FACTS,
                    start=Fraction(0),
                    duration=Fraction(10 * self.dice.randint(1, 5)),
                    audio_stream=None,
                ),
            )
            for number in range(self.dice.randint(1, 3))
        ]

        def put(tx: Transaction) -> None:
            index = indexes.create(tx, OWNER, "all")
            for prompt in self.prompts:
                prompts.insert_prompt(tx, prompt)
            for item in items:
                inside = self.dice.random() < 0.7
                media.insert_item(tx, replace(item, index_id=index.index_id if inside else None))

        await self._ask(lambda server: server.database.write(put))

    async def _act(self) -> None:
        """Do what an owner does, one call after the other or several at once."""
        calls = [self._execute, self._execute, self._execute, self._cancel, self._retry_failed]
        calls += [self._retry_failed, self._delete_media, self._delete_index, self._import]
        calls += [self._cancel_import, self._retry_import]
        plan = [self._execute, *self.dice.choices(calls, k=self.dice.randint(2, 8))]
        async with asyncio.TaskGroup() as tasks:
            for call in plan:
                tasks.create_task(self._tried(call))
                await asyncio.sleep(self.dice.choice([0.0, self.dice.uniform(0.0, 15.0)]))
        await asyncio.sleep(self.dice.uniform(0.0, 20.0))

    async def _tried(self, call: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await call()
        except PromptreelError as error:
            self._note(f"{call.__name__} was refused: {error.reason}")
        else:
            self._note(f"{call.__name__}")

    async def _ask(self, call: Callable[[Server], Coroutine[Any, Any, Any]]) -> Any:
        """Make a call to a server; one that dies does not answer, and the owner gives up."""
        living = self.world.living()
        if not living:
            return None
        server = self.dice.choice(living)
        context = contextvars.Context()
        answer = self.scheduler.create_future()

        async def answering() -> None:
            try:
                result = await call(server)
            except PromptreelError as error:
                _settle(answer, error=error)
            else:
                _settle(answer, result)

        context.run(PROCESS.set, server.process)
        context.run(self.scheduler.create_task, answering())
        try:
            async with asyncio.timeout(20):
                return await answer
        except TimeoutError:
            return None

    def _some(self, column: Any, *conditions: Any) -> str | None:
        found = sorted(
            self.backend.look(lambda c: c.execute(select(column).where(*conditions)).scalars())
        )
        return self.dice.choice(found) if found else None

    async def _execute(self) -> None:
        video_ids = sorted(
            self.backend.look(
                lambda c: c.execute(
                    select(tables.media.c.video_id).where(tables.media.c.deletion_id.is_(None))
                ).scalars()
            )
        )
        chosen = [video_id for video_id in video_ids if self.dice.random() < 0.8]
        if not chosen:
            return
        prompt = self.dice.choice(self.prompts)
        order = Order(
            owner_id=OWNER,
            ordered_by="key",
            prompt_id=prompt.prompt_id,
            target=Target(type=TargetType.VIDEOS, video_ids=tuple(chosen)),
            settings=RunSettings(
                video_segmentation=SegmentationMode.FIXED,
                video_segment_duration=10,
                processing_model="canned",
                enable_transcription=False,
                enable_image_embedding=False,
                reuse_llm_calls=self.dice.random() < 0.3,
            ),
        )

        async def execute(server: Server) -> None:
            vetted = await server.engine.vet(order)
            run = await server.database.write(lambda tx: server.engine.accept(tx, order, vetted))
            await server.engine.begin(run.run_id)

        await self._ask(execute)

    async def _cancel(self) -> None:
        run_id = self._some(tables.runs.c.run_id)
        if run_id is None:
            return

        async def cancel(server: Server) -> None:
            def stop(tx: Transaction) -> None:
                run = runs.fetch(tx.connection, OWNER, run_id)
                server.engine.request_stop(tx, run, "key")

            await server.database.write(stop)
            server.engine.stop(run_id)

        await self._ask(cancel)

    async def _retry_failed(self) -> None:
        run_id = self._some(tables.runs.c.run_id)
        if run_id is None:
            return
        wanted = RetryOrder(
            owner_id=OWNER,
            video_id="",
            segment_id="",
            force=self.dice.random() < 0.5,
            idempotency_key=None,
        )

        async def retry(server: Server) -> None:
            def act(tx: Transaction) -> Any:
                run = runs.fetch(tx.connection, OWNER, run_id)
                return retry_orders.retry_failed(tx, run, (), wanted)[0]

            await server.engine.retry(await server.database.write(act))

        await self._ask(retry)

    async def _delete_media(self) -> None:
        video_id = self._some(tables.media.c.video_id)
        if video_id is not None:
            await self._delete(lambda tx: deletions.request_video(tx, OWNER, video_id))

    async def _delete_index(self) -> None:
        index_id = self._some(tables.indexes.c.index_id)
        if index_id is not None and self.dice.random() < 0.5:
            await self._delete(lambda tx: deletions.request_index(tx, OWNER, index_id))

    async def _delete(self, request: Callable[[Transaction], Any]) -> None:
        async def delete(server: Server) -> None:
            await server.database.write(request)
            server.deleter.wake()

        await self._ask(delete)

    async def _import(self) -> None:
        name = f"file-{self.dice.randint(0, 2)}.mp4"
        (self.world.roots / name).write_bytes(name.encode())
        index_id = self._some(tables.indexes.c.index_id)
        upload = Upload(owner_id=OWNER, title=name, index_id=index_id, file_name=name)
        uri = (self.world.roots / name).as_uri()

        async def accept(server: Server) -> None:
            await server.database.write(lambda tx: server.imports.accept(tx, upload, uri))
            server.imports.wake()

        await self._ask(accept)

    async def _cancel_import(self) -> None:
        job_id = self._some(tables.import_jobs.c.job_id)
        if job_id is None:
            return

        async def cancel(server: Server) -> None:
            await server.database.write(lambda tx: server.imports.cancel(tx, OWNER, job_id))
            server.imports.stop(job_id)

        await self._ask(cancel)

    async def _retry_import(self) -> None:
        job_id = self._some(tables.import_jobs.c.job_id)
        if job_id is None:
            return

        async def retry(server: Server) -> None:
            await server.database.write(lambda tx: server.imports.retry(tx, OWNER, job_id))
            server.imports.wake()

        await self._ask(retry)

    # What breaks

    async def _break(self) -> None:
        wild = self.dice.choice([0.0, 0.3, 1.0])
        self.scheduler.weather = Weather(
            stall=self.dice.choice([0.0, 0.005, 0.02]) * wild,
            refusal=self.dice.choice([0.0, 0.02]) * wild,
            lost_commit_answer=self.dice.choice([0.0, 0.05]) * wild,
            lost_notice=self.dice.choice([0.0, 0.5, 1.0]),
        )
        faults = [self._kill, self._stall, self._lose_locks, self._lose_listening]
        faults += [self._step_clock, self._drain]
        while wild:
            await asyncio.sleep(self.dice.expovariate(1 / 8.0))
            fault = self.dice.choice(faults)
            self._note(fault.__name__)
            fault()

    def _kill(self) -> None:
        living = self.world.living()
        if living:
            self._end(self.dice.choice(living))

    def _end(self, server: Server) -> None:
        """Kill a server and start another in its place after a while."""
        if server.replaced:
            return
        server.replaced = True
        if not server.process.dead:
            self.excused.add(server.process)
            self.world.kill(server)
        name = server.process.name.split(" (")[0]
        offset = server.process.clock_offset
        self._later(10.0, lambda: self.world.start(name, offset))

    def _drain(self) -> None:
        """Stop a server as SIGTERM does; what is not done in time ends with it."""
        living = self.world.living()
        if living:
            server = self.dice.choice(living)
            server.engine.drain()
            self._later(30.0, lambda: self._end(server))

    def _stall(self) -> None:
        living = self.world.living()
        if living:
            self.scheduler.suspend(self.dice.choice(living).process)

    def _lose_locks(self) -> None:
        living = self.world.living()
        if living:
            self.dice.choice(living).peers.lose_session()

    def _lose_listening(self) -> None:
        living = self.world.living()
        if living:
            peers = self.dice.choice(living).peers
            peers.lose_listening()
            self._later(60.0, lambda: peers.context.run(peers.listen_again))

    def _later(self, within: float, callback: Callable[[], Any]) -> None:
        """Do something after a while; nothing is at rest before it."""
        delay = self.dice.uniform(0.0, within)
        self.coming.append(self.scheduler.time() + delay)
        self.scheduler.call_later(delay, callback)

    def _step_clock(self) -> None:
        living = self.world.living()
        if living:
            self.dice.choice(living).process.clock_offset += self.dice.uniform(-3600.0, 3600.0)

    # Rest

    async def _heal(self) -> None:
        """Let nothing break from now on; servers that are to come back do."""
        self.scheduler.weather = Weather()
        coming = max(self.scheduler.stalled_until, *self.coming)
        await asyncio.sleep(max(0.0, coming - self.scheduler.time()) + 0.1)
        self._note("healed")

    async def _rest(self) -> None:
        until = self.scheduler.time() + PATIENCE
        left = ["everything"]
        while left and self.scheduler.time() < until:
            await asyncio.sleep(5.0)
            left = self.backend.look(invariants.at_work)
        if left:
            self._fail([f"{name} never ended" for name in left])
        await asyncio.sleep(SETTLING)

    def _judge(self) -> None:
        calls = self.world.witness.calls
        found = self.backend.look(lambda c: [*invariants.violations(c, calls, self.excused)])
        self._fail([*found, *self.world.witness.wrong, *self.scheduler.broken])

    def _fail(self, found: list[str]) -> None:
        if found:
            told = "\n  ".join(["", *found])
            raise Violation(f"seed {self.seed} on {self.backend.name}:{told}\n{self.replay()}")

    def _note(self, what: str) -> None:
        self.trace.append(f"{self.scheduler.time():9.3f} {what}")


def _prompt(video_level: bool) -> Prompt:
    return Prompt(
        prompt_id=new_id(PROMPT),
        owner_id=OWNER,
        name="Scenes",
        description="",
        prompt_text="Say what happens in the scene.",
        json_schema=SCHEMA,
        video_level=VideoLevel(instructions_text="Sum it up.", json_schema=SCHEMA)
        if video_level
        else None,
        semantic_indexing=SemanticIndexing(),
        is_active=True,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def _settle(
    answer: "asyncio.Future[Any]", result: Any = None, error: Exception | None = None
) -> None:
    if answer.done():
        return
    if error is not None:
        answer.set_exception(error)
    else:
        answer.set_result(result)


def _fast_folder() -> Path | None:
    shared = Path("/dev/shm")
    return shared if shared.is_dir() else None
