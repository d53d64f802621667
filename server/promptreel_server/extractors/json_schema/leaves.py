"""The leaves of a JSON Schema and of what was extracted by it, by field path.

A field path is dotted, with `[]` after a field that repeats objects: `scene.people[].emotion`.
A list of plain values is one leaf: `topics`.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from promptreel_server.domain.prompt import JsonObject

MOST_NODES = 2000
"""More subschemas than this, with references followed, are refused: nobody reads so many fields."""

_BRANCHES = ("allOf", "anyOf", "oneOf", "then", "else")


class EndlessSchema(ValueError):
    """Following the references of the schema does not come to an end."""


def resolve(reference: str, root: JsonObject) -> Any:
    """Answer what a local reference (`#/$defs/person`) points at; LookupError where nothing."""
    node: Any = root
    for part in reference.removeprefix("#").split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        node = node[int(key)] if isinstance(node, list) else node[key]
    return node


def leaves(json_schema: JsonObject) -> tuple[str, ...]:
    """Name every leaf that the schema declares, in its order, each once.

    Raises:
        EndlessSchema: the schema refers to itself, or unfolds beyond `MOST_NODES`.
    """
    walk = _Walk(json_schema)
    return tuple(dict.fromkeys(path for path in walk.visit(json_schema, "", ()) if path))


class _Walk:
    def __init__(self, root: JsonObject) -> None:
        self._root = root
        self._nodes = 0

    def visit(self, node: Any, path: str, followed: tuple[str, ...]) -> Iterator[str]:
        self._nodes += 1
        if self._nodes > MOST_NODES:
            raise EndlessSchema(f"it unfolds to more than {MOST_NODES} fields")
        if not isinstance(node, Mapping):
            yield path
            return
        below = [*self._inside(node, path, followed), *self._beside(node, path, followed)]
        deeper = [leaf for leaf in below if leaf != path]
        yield from deeper or [path]

    def _inside(self, node: JsonObject, path: str, followed: tuple[str, ...]) -> Iterator[str]:
        for name, child in node.get("properties", {}).items():
            yield from self.visit(child, f"{path}.{name}" if path else name, followed)
        for child in [node.get("items"), *node.get("prefixItems", ())]:
            if isinstance(child, Mapping):
                element = f"{path}[]"
                found = list(self.visit(child, element, followed))
                yield from (path if leaf == element else leaf for leaf in found)

    def _beside(self, node: JsonObject, path: str, followed: tuple[str, ...]) -> Iterator[str]:
        for keyword in _BRANCHES:
            branches = node.get(keyword, ())
            for branch in branches if isinstance(branches, list | tuple) else (branches,):
                yield from self.visit(branch, path, followed)
        reference = node.get("$ref")
        if reference is not None:
            if reference in followed:
                raise EndlessSchema(f"{reference} refers to itself")
            yield from self.visit(resolve(reference, self._root), path, (*followed, reference))


def metadata_text(metadata: JsonObject, disabled: Collection[str] = ()) -> str:
    """Render what was extracted, a line `path: value` a leaf; lists of plain values on one line.

    Empty values say nothing and get no line. A disabled path leaves out all below it, too.
    """
    return "\n".join(f"{path}: {text}" for path, text in _lines(metadata, "", frozenset(disabled)))


def _lines(value: Any, path: str, disabled: frozenset[str]) -> Iterator[tuple[str, str]]:
    if path in disabled or path.removesuffix("[]") in disabled:
        return
    if isinstance(value, Mapping):
        for name, child in value.items():
            yield from _lines(child, f"{path}.{name}" if path else name, disabled)
    elif isinstance(value, list | tuple):
        plain = [_rendered(child) for child in value if not isinstance(child, Mapping | list)]
        said = ", ".join(text for text in plain if text)
        if said:
            yield path, said
        for child in value:
            if isinstance(child, Mapping | list):
                yield from _lines(child, f"{path}[]", disabled)
    else:
        text = _rendered(value)
        if text:
            yield path, text


def _rendered(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "" if value is None else " ".join(str(value).split())
