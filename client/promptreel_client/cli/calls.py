"""`promptreel llm-calls`: what models were asked in a run, and what they answered."""

from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.rule import Rule
from rich.text import Text

from promptreel_client.cli import tables
from promptreel_client.cli.session import Limit, Session, connected
from promptreel_client.cli.watch import Run
from promptreel_client.model.llm_calls import LlmCall


@connected
def llm_calls(
    session: Session,
    run_id: Run,
    segment: Annotated[
        str | None, typer.Option(metavar="SEGMENT", help="Only those for this segment.")
    ] = None,
    video: Annotated[
        str | None, typer.Option(metavar="VIDEO", help="Only those for this media item.")
    ] = None,
    status: Annotated[
        str | None, typer.Option(help="Only those that ended so: success, error or blocked.")
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Show prompts and answers, whole.")] = False,
    limit: Limit = 50,
) -> None:
    """Show the LLM calls of a run, one per attempt, oldest first."""
    found = session.client.prompt_runs.get_llm_calls(
        run_id, segment_id=segment, video_id=video, status=status
    )
    calls = session.first(found, limit)
    session.answer(calls, lambda: Group(*map(_whole, calls)) if full else _table(calls))


def _table(calls: list[LlmCall]) -> RenderableType:
    return tables.table(
        ("segment", "time", "purpose", "status", ">in", ">out", ">ms", "why"),
        [
            (
                call.segment_id,
                _where(call),
                f"{call.purpose}, attempt {call.attempt}" if call.attempt > 1 else call.purpose,
                tables.status("cached" if call.cached else call.status),
                call.input_tokens,
                call.output_tokens,
                call.duration_ms,
                call.error_message,
            )
            for call in calls
        ],
    )


def _whole(call: LlmCall) -> RenderableType:
    thinking = f", {call.thinking_tokens} thinking" if call.thinking_tokens else ""
    reused = f", {call.cached_tokens} cached" if call.cached_tokens else ""
    facts = tables.facts(
        [
            ("model", call.model),
            ("purpose", f"{call.purpose}, attempt {call.attempt}"),
            ("media item", call.video_id),
            ("segment", f"{call.segment_id}  {_where(call)}" if call.segment_id else None),
            ("status", tables.status("cached" if call.cached else call.status)),
            ("finish", call.finish_reason),
            ("at", call.invoked_at),
            ("took", f"{call.duration_ms} ms" if call.duration_ms is not None else None),
            ("tokens", f"{call.input_tokens} in{reused}, {call.output_tokens} out{thinking}"),
            ("error", f"{call.error_code}: {call.error_message}" if call.error_message else None),
        ]
    )
    parts: list[RenderableType] = [Rule(call.llm_call_id, align="left"), facts]
    for name, text in (
        ("prompt", call.prompt_text),
        ("schema", call.schema_used),
        ("answer", call.response_text),
    ):
        if text:
            parts += [Text(f"\n{name}", style="bold"), Text(text)]
    return Group(*parts)


def _where(call: LlmCall) -> str:
    if call.segment_start_time is None or call.segment_end_time is None:
        return ""
    return tables.span(call.segment_start_time, call.segment_end_time)
