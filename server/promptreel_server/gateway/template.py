"""Fills the gateway's template: Envoy's configuration and the filter in front of the transcoder."""

import json
from dataclasses import dataclass
from pathlib import Path
from string import Template

from promptreel_server.gateway.binary import find_files
from promptreel_server.gateway.contract import Contract, read_contract


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """Where Envoy listens, whom it calls, and where it is administered."""

    rest_host: str
    """An IP address."""
    rest_port: int
    """0: any free port."""
    grpc_host: str
    """An IP address that can be connected to."""
    grpc_port: int
    admin_socket: Path


def render(addresses: Addresses, folder: Path) -> Path:
    """Write envoy.yaml and envelope.lua into `folder`; answer the path of the first.

    Raises OSError where a file can't be read or written.
    """
    files = find_files()
    descriptor = files / "api.binpb"
    contract = read_contract(descriptor)
    lua = folder / "envelope.lua"
    lua.write_text(_lua_tables(contract) + (files / "envelope.lua").read_text("utf-8"), "utf-8")
    config = folder / "envoy.yaml"
    template = Template((files / "envoy.yaml").read_text("utf-8"))
    values = {
        "admin_socket": str(addresses.admin_socket),
        "rest_host": addresses.rest_host,
        "rest_port": addresses.rest_port,
        "grpc_host": addresses.grpc_host,
        "grpc_port": addresses.grpc_port,
        "filter": str(lua),
        "descriptor": str(descriptor),
        "services": list(contract.services),
    }
    # JSON is YAML too, and quotes whatever a path may hold.
    filled = template.substitute({name: json.dumps(value) for name, value in values.items()})
    config.write_text(filled, "utf-8")
    return config


def _lua_tables(contract: Contract) -> str:
    """Answer the ROUTES and WORDS that envelope.lua looks up."""
    rows = (
        (route.lua_pattern, route.method, route.body, f",{','.join(route.variables)},")
        for route in contract.routes
    )
    routes = "".join(f"  {{ {', '.join(map(_quoted, row))} }},\n" for row in rows)
    words = "".join(
        f"  [{_quoted(name)}] = {_quoted(', '.join(words))},\n"
        for name, words in contract.words.items()
    )
    return f"ROUTES = {{\n{routes}}}\nWORDS = {{\n{words}}}\n"


def _quoted(text: str) -> str:
    """A Lua string; the names and paths of a descriptor need no escapes."""
    return f'"{text}"'
