"""The blocking and the asyncio client offer the same, with the same parameters."""

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from promptreel_client import AsyncClient, Client
from promptreel_client.contract import all_rpcs
from promptreel_client.resources.methods import AsyncResource, Method, Resource
from promptreel_client.upload import Upload

REFERENCE = Path(__file__).parents[3] / "docs" / "reference" / "client.md"
STAND_INS: dict[str, Any] = {
    "target": {"type": "playground"},
    "json_schema": {"type": "object"},
    "sample_data": {},
    "file": __file__,
    "video_ids": ["vid_1"],
}


def resources(client: Any, kind: type) -> dict[str, Any]:
    return {name: part for name, part in vars(client).items() if isinstance(part, kind)}


def methods(resource: Any) -> dict[str, Any]:
    return {name: part for name, part in vars(type(resource)).items() if not name.startswith("_")}


PAIRS = [
    (name, blocking, resources(AsyncClient(api_key="sk"), AsyncResource)[name])
    for name, blocking in resources(Client(api_key="sk"), Resource).items()
]


def asks() -> Iterator[Any]:
    for _, blocking, _ in PAIRS:
        for part in methods(blocking).values():
            if isinstance(part, Method):
                yield part.ask


def test_both_clients_have_the_same_resources() -> None:
    names = set(resources(AsyncClient(api_key="sk"), AsyncResource))
    assert names == {name for name, _, _ in PAIRS}


@pytest.mark.parametrize(("name", "blocking", "awaited"), PAIRS)
def test_a_resource_has_the_same_methods_with_the_same_parameters(
    name: str, blocking: Any, awaited: Any
) -> None:
    assert methods(blocking).keys() == methods(awaited).keys()
    for method in methods(blocking):
        one, other = getattr(blocking, method), getattr(awaited, method)
        assert inspect.signature(one) == inspect.signature(other), method
        assert inspect.getdoc(one) == inspect.getdoc(other), method


@pytest.mark.parametrize(("name", "blocking", "awaited"), PAIRS)
def test_every_method_says_what_it_does(name: str, blocking: Any, awaited: Any) -> None:
    for method in methods(blocking):
        assert inspect.getdoc(getattr(blocking, method)), method


def test_everything_that_can_be_waited_for_is_a_coroutine_function_in_asyncio() -> None:
    for _, blocking, awaited in PAIRS:
        for name, part in methods(blocking).items():
            if inspect.isfunction(part):
                assert inspect.iscoroutinefunction(methods(awaited)[name])


def asked(ask: Any) -> Any:
    """Ask with made-up arguments, and answer the request that comes of it."""
    given = {
        name: STAND_INS.get(name, "x")
        for name, parameter in inspect.signature(ask).parameters.items()
        if parameter.default is inspect.Parameter.empty
    }
    made = ask(**given)
    return made.header if isinstance(made, Upload) else made.request


def test_every_rpc_of_the_contract_can_be_asked_for_but_the_one_for_other_clients() -> None:
    reached = {type(asked(ask)) for ask in asks()}
    rpcs = [rpc for rpc in all_rpcs() if "AccountService" not in rpc.path]
    assert {rpc.path for rpc in rpcs if rpc.request not in reached} == set()


def test_no_two_rpcs_take_the_same_message() -> None:
    requests = [rpc.request for rpc in all_rpcs()]
    assert len(requests) == len(set(requests))


def test_the_reference_names_every_method_and_no_other() -> None:
    rows = REFERENCE.read_text().splitlines()
    for name, blocking, _ in PAIRS:
        (row,) = (row for row in rows if row.startswith(f"| `{name}`"))
        named = set(re.findall(r"`([a-z_]+)[`(]", row)) - {name}
        assert named == set(methods(blocking)), name
