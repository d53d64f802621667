"""The language model as it runs inside its own process: llama.cpp through xllamacpp."""

import secrets
from collections.abc import Sequence
from typing import Any

import xllamacpp

from promptreel_server.errors import FailureCode, ModelFailure

CONTEXT_TOKENS = 8192
_NO_LOOPS = {
    "dry_multiplier": 0.8,
    "dry_base": 1.75,
    "dry_allowed_length": 40,
    "dry_penalty_last_n": 512,
    "dry_sequence_breakers": ["\n"],
}
"""What repeats over 40 tokens becomes ever less likely: small models get caught in loops. A lower
length makes the model reword what it quotes, and with it names and numbers."""


class HeldLlama:
    """Completes chats, the answer constrained by a grammar."""

    def __init__(self, path: str, threads: int) -> None:
        params = xllamacpp.CommonParams()
        params.model.path = path
        params.n_ctx = CONTEXT_TOKENS
        params.n_parallel = 1
        for cpu in (params.cpuparams, params.cpuparams_batch):
            cpu.n_threads = threads
            cpu.poll = 0  # polling threads starve everybody on a busy machine
        params.warmup = False
        params.fit_params = False
        params.cache_ram_mib = 0
        params.verbosity = -1
        params.ui = False
        params.endpoint_slots = False
        # It always listens on a port of loopback; nobody knows the key.
        params.api_keys = [secrets.token_urlsafe(32)]
        self._server = xllamacpp.Server(params)

    def complete(
        self,
        messages: Sequence[dict[str, str]],
        grammar: str,
        most_tokens: int,
        temperature: float,
        seed: int,
    ) -> dict[str, Any]:
        """Answer `text`, `finish_reason`, and tokens: `prompt`, of them `cached`, and `output`.

        Raises ModelFailure: `invalid_request` where the prompt does not fit.
        """
        answer = self._server.handle_chat_completions(
            {
                "messages": list(messages),
                "grammar": grammar,
                "max_tokens": most_tokens,
                "temperature": temperature,
                "seed": seed,
                "cache_prompt": True,
                **_NO_LOOPS,
            }
        )
        if "error" in answer:
            raise _failure(answer["error"])
        choice, usage = answer["choices"][0], answer["usage"]
        return {
            "text": choice["message"]["content"] or "",
            "finish_reason": choice["finish_reason"],
            "prompt": usage["prompt_tokens"],
            "cached": usage.get("prompt_tokens_details", {}).get("cached_tokens", 0),
            "output": usage["completion_tokens"],
        }


def _failure(error: dict[str, Any]) -> ModelFailure:
    too_long = error.get("type") == "exceed_context_size_error"
    refused = too_long or error.get("code") == 400
    code = FailureCode.INVALID_REQUEST if refused else FailureCode.INTERNAL
    return ModelFailure(code, f"the local model refused: {error.get('message', error)}")
