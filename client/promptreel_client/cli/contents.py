"""Every command with its one sentence, so that `--help` has to load none of them."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One command: what it is for and where it lives."""

    help: str
    place: str | None = None
    """`module:attribute` in this package. None: the server's distribution brings it."""


CONTENTS: dict[str, Entry] = {
    "serve": Entry(help="Start the server and its gateway."),
    "demo": Entry(
        help="See a run over a short clip, on a server of its own.",
        place="demo:demo",
    ),
    "keys": Entry(help="Make, list and revoke API keys in a data folder."),
    "settings": Entry(help="Show every setting with its value, its origin and its meaning."),
    "models": Entry(help="Fetch, list and verify the offline models."),
    "segments": Entry(help="Show where a local file would be cut, without a server."),
    "doctor": Entry(help="Look a data folder over, and mend it."),
    "indexes": Entry(help="Create, list, show and delete indexes.", place="indexes:app"),
    "upload": Entry(help="Upload video, audio and images.", place="upload:upload"),
    "prompts": Entry(help="Create, list, show and delete prompts.", place="prompts:app"),
    "run": Entry(help="Run a prompt over an index, videos or the playground.", place="run:run"),
    "runs": Entry(help="List runs, or show one.", place="runs:runs"),
    "watch": Entry(help="Watch a run as it happens.", place="watch:watch"),
    "results": Entry(help="Show what the segments of a run yielded.", place="results:results"),
    "failed": Entry(help="Show what failed in a run.", place="failures:failed"),
    "retry": Entry(help="Attempt what failed in a run once more.", place="failures:retry"),
    "cancel": Entry(help="Ask a run to stop.", place="runs:cancel"),
    "llm-calls": Entry(help="Show the LLM calls of a run.", place="calls:llm_calls"),
}
