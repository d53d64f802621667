"""Watchers that cost little themselves, native and over REST."""

import asyncio
import json
import time
from collections.abc import Callable

import grpc

from benchmarks.watch.sight import Sight, instant
from promptreel.v2 import prompt_run_pb2, prompt_run_pb2_grpc

MOST_ON_A_CHANNEL = 500
OPTIONS = (("grpc.use_local_subchannel_pool", 1),)

Opened = Callable[[], None]


def channels(address: str, watchers: int) -> list[grpc.aio.Channel]:
    """Connect often enough for so many watchers."""
    count = -(-watchers // MOST_ON_A_CHANNEL)
    return [grpc.aio.insecure_channel(address, options=OPTIONS) for _ in range(count)]


async def watch(
    channel: grpc.aio.Channel, key: str, run_id: str, *, at_once: int, opened: Opened
) -> Sight:
    """Watch a run from its first event to its end; tells `opened` once it is under way."""
    request = prompt_run_pb2.WatchPromptRunRequest(
        run_id=run_id, after_sequence=0, updates_at_once=at_once
    )
    stub = prompt_run_pb2_grpc.PromptRunServiceStub(channel)
    sight = Sight()
    heard = False
    async for message in stub.WatchPromptRun(request, metadata=(("x-api-key", key),)):
        if not heard:
            heard = True
            opened()
        now = time.time()
        for update in message.several.updates or (message,):
            if update.HasField("event"):
                created = update.event.created_at
                at = created.seconds + created.nanos / 1e9
                sight.see(update.sequence, update.event.event_id, at, now)
        sight.ended = message.HasField("end")
    return sight


async def watch_over_rest(rest: str, key: str, run_id: str, *, opened: Opened) -> Sight:
    """Watch a run as server-sent events over a connection of its own."""
    host, _, port = rest.removeprefix("http://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=2**24)
    path = f"/api/v2/prompt-runs/{run_id}/watch?after_sequence=0"
    writer.write(f"GET {path} HTTP/1.1\r\nhost: benchmark\r\nx-api-key: {key}\r\n\r\n".encode())
    sight = Sight()
    kind, sequence = "", 0
    try:
        async for line in reader:
            word, _, rest_of_line = line.decode().rstrip("\r\n").partition(": ")
            if line.startswith(b": open"):
                opened()
            elif word == "id":
                sequence = int(rest_of_line)
            elif word == "event":
                kind = rest_of_line
            elif word == "data" and kind == "end":
                sight.ended = True
                break
            elif word == "data" and kind != "prompt_run.snapshot":
                event = json.loads(rest_of_line)
                at = instant(event["created_at"])
                sight.see(sequence, event["event_id"], at, time.time())
    finally:
        writer.close()
    return sight
