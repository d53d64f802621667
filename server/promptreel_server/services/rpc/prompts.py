"""PromptService: what is asked of each segment."""

from dataclasses import replace
from typing import Any

import grpc

from promptreel.v2 import prompt_pb2, prompt_pb2_grpc
from promptreel_server.domain.ids import PROMPT, new_id
from promptreel_server.domain.prompt import Prompt
from promptreel_server.errors import Conflict, Invalid
from promptreel_server.extractors.json_schema import compiled
from promptreel_server.services.call.context import current_call
from promptreel_server.services.call.idempotency import once
from promptreel_server.services.messages import prompts as messages
from promptreel_server.services.messages.json_structs import from_struct, to_struct
from promptreel_server.services.rpc.prompt_rules import check_prompt
from promptreel_server.store.catalogue import prompts
from promptreel_server.store.database.database import Database
from promptreel_server.store.schema.transaction import Transaction

Context = grpc.aio.ServicerContext[Any, Any]


class PromptService(prompt_pb2_grpc.PromptServiceServicer):
    """Keeps prompts; runs that were accepted keep what they froze."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def CreatePrompt(
        self, request: prompt_pb2.CreatePromptRequest, context: Context
    ) -> prompt_pb2.Prompt:
        """Check a prompt and keep it."""
        owner = current_call().owner_id
        wanted = Prompt(
            prompt_id=new_id(PROMPT),
            owner_id=owner,
            name=request.name,
            description=request.description,
            prompt_text=request.prompt_text,
            json_schema=from_struct(request.json_schema),
            video_level=_level(request),
            semantic_indexing=messages.semantic_indexing(request.semantic_indexing),
            is_active=True,
            created_at=self._database.clock(),
        )
        check_prompt(wanted)

        def act(tx: Transaction) -> prompt_pb2.Prompt:
            prompts.insert_prompt(tx, wanted)
            return messages.prompt(wanted)

        return await once(self._database, "CreatePrompt", request, act, prompt_pb2.Prompt)

    async def ListPrompts(
        self, request: prompt_pb2.ListPromptsRequest, context: Context
    ) -> prompt_pb2.ListPromptsResponse:
        """Answer the prompts that the caller may use."""
        owner = current_call().owner_id
        defaults = request.include_defaults if request.HasField("include_defaults") else True
        active_only = request.active_only if request.HasField("active_only") else True
        found = await self._database.read(
            lambda c: prompts.list_prompts(c, owner, include_defaults=defaults)
        )
        listed = [prompt for prompt in found if prompt.is_active or not active_only]
        return prompt_pb2.ListPromptsResponse(
            prompts=[messages.prompt(prompt) for prompt in listed],
            total_count=len(listed),
            active_count=sum(prompt.is_active for prompt in listed),
        )

    async def GetPrompt(
        self, request: prompt_pb2.GetPromptRequest, context: Context
    ) -> prompt_pb2.Prompt:
        """Answer one prompt."""
        owner = current_call().owner_id
        found = await self._database.read(lambda c: prompts.fetch(c, owner, request.prompt_id))
        return messages.prompt(found)

    async def UpdatePrompt(
        self, request: prompt_pb2.UpdatePromptRequest, context: Context
    ) -> prompt_pb2.Prompt:
        """Change what is given and leave the rest."""
        owner = current_call().owner_id

        def act(tx: Transaction) -> prompt_pb2.Prompt:
            before = _changeable(prompts.fetch(tx.connection, owner, request.prompt_id))
            after = _changed(before, request)
            check_prompt(after)
            prompts.replace_prompt(tx, after)
            return messages.prompt(after)

        return await once(self._database, "UpdatePrompt", request, act, prompt_pb2.Prompt)

    async def DeletePrompt(
        self, request: prompt_pb2.DeletePromptRequest, context: Context
    ) -> prompt_pb2.DeletePromptResponse:
        """Forget a prompt, or deactivate one that runs have used."""
        owner = current_call().owner_id

        def act(tx: Transaction) -> prompt_pb2.DeletePromptResponse:
            prompt = _changeable(prompts.fetch(tx.connection, owner, request.prompt_id))
            used = prompts.in_use(tx.connection, owner, prompt.prompt_id)
            return prompt_pb2.DeletePromptResponse(
                message=_delete(tx, prompt, used=used, force=request.force)
            )

        return await once(
            self._database, "DeletePrompt", request, act, prompt_pb2.DeletePromptResponse
        )

    async def GetPromptUsage(
        self, request: prompt_pb2.GetPromptUsageRequest, context: Context
    ) -> prompt_pb2.PromptUsage:
        """Answer whether a prompt is in use."""
        owner = current_call().owner_id
        prompt, used = await self._database.read(
            lambda c: (
                prompts.fetch(c, owner, request.prompt_id),
                prompts.in_use(c, owner, request.prompt_id),
            )
        )
        return messages.usage(prompt, in_use=used)

    async def TestSchema(
        self, request: prompt_pb2.TestSchemaRequest, context: Context
    ) -> prompt_pb2.TestSchemaResponse:
        """Check sample data against a schema; what does not fit is an answer."""
        if not request.HasField("json_schema"):
            raise Invalid.field("json_schema", "is missing; send the schema to test")
        body, sample = from_struct(request.json_schema), from_struct(request.sample_data)
        try:
            compiled.check_schema(body)
        except Invalid as error:
            return prompt_pb2.TestSchemaResponse(
                valid=False, error=error.message, message="No prompt can have this schema."
            )
        wrong = await compiled.compiled(body).checked(sample)
        if wrong:
            return prompt_pb2.TestSchemaResponse(
                valid=False, error="; ".join(wrong), message="The data don't fit the schema."
            )
        return prompt_pb2.TestSchemaResponse(
            valid=True, validated_data=to_struct(sample), message="The data fit the schema."
        )


def _level(
    request: prompt_pb2.CreatePromptRequest | prompt_pb2.UpdatePromptRequest,
) -> Any:
    return messages.video_level(request.video_level) if request.HasField("video_level") else None


def _changeable(prompt: Prompt) -> Prompt:
    if prompt.is_default:
        raise Conflict(
            f"{prompt.prompt_id} ships with the server and can't be changed; create a copy.",
            details={"prompt_id": prompt.prompt_id},
        )
    return prompt


def _changed(before: Prompt, request: prompt_pb2.UpdatePromptRequest) -> Prompt:
    if request.clear_video_level and request.HasField("video_level"):
        raise Invalid.field("video_level", "can't be given and cleared at once")
    changes: dict[str, Any] = {
        name: getattr(request, name)
        for name in ("name", "prompt_text", "description")
        if request.HasField(name)
    }
    if request.HasField("json_schema"):
        changes["json_schema"] = from_struct(request.json_schema)
    if request.HasField("video_level") or request.clear_video_level:
        changes["video_level"] = _level(request)
    if request.HasField("semantic_indexing"):
        changes["semantic_indexing"] = messages.semantic_indexing(request.semantic_indexing)
    elif request.clear_video_level:  # what it names goes with the schema it names it in
        changes["semantic_indexing"] = replace(
            before.semantic_indexing, disabled_video_level_fields=()
        )
    return replace(before, **changes)


def _delete(tx: Transaction, prompt: Prompt, *, used: bool, force: bool) -> str:
    if not used:
        prompts.remove(tx, prompt.prompt_id)
        return f"Prompt {prompt.prompt_id} is deleted."
    if not force:
        raise Conflict(
            f"Runs have used {prompt.prompt_id}; repeat with force=true to deactivate it.",
            details={"prompt_id": prompt.prompt_id},
        )
    prompts.replace_prompt(tx, replace(prompt, is_active=False))
    return f"Prompt {prompt.prompt_id} is deactivated; runs that used it keep what they asked."
