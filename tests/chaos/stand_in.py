"""A model behind HTTP that answers late and writes down every answer it gave."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Answered:
    """One answer: when it was complete, and what it was for."""

    at: float
    run_id: str
    segment_id: str | None
    purpose: str


@dataclass
class StandIn:
    """The answers given so far."""

    url: str = ""
    answers: list[Answered] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, body: dict[str, Any]) -> None:
        answer = Answered(
            at=time.time(),
            run_id=body["run_id"],
            segment_id=body.get("segment_id"),
            purpose=body["purpose"],
        )
        with self.lock:
            self.answers.append(answer)


@contextmanager
def stand_in() -> Iterator[StandIn]:
    """Serve on a free port for the length of the block."""
    made = StandIn()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")
            made.note(body)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_address[1]}/"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
