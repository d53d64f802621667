import json
from pathlib import Path

from openapi_spec_validator import validate

from promptreel_server.services.call.contract_files import FILES
from promptreel_server.services.rest.openapi import openapi, openapi_json, routes
from promptreel_server.services.rest.openapi_rules import REQUIRED, RULES

DOCUMENT = openapi()


def test_the_document_is_valid_openapi() -> None:
    validate(DOCUMENT)
    assert json.loads(openapi_json()) == DOCUMENT


def test_every_golden_route_is_in_the_document() -> None:
    golden = (Path(__file__).parents[3] / "contract" / "routes.golden").read_text()
    wanted = {tuple(line.split()[:2]) for line in golden.splitlines() if line.strip()}
    documented = {(verb.upper(), path) for path, item in DOCUMENT["paths"].items() for verb in item}

    assert wanted <= documented
    assert documented - wanted == {("GET", "/healthz")}


def test_operation_ids_are_unique() -> None:
    ids = [op["operationId"] for item in DOCUMENT["paths"].values() for op in item.values()]

    assert len(ids) == len(set(ids)) == len(list(routes())) + 1


def test_only_health_and_the_document_need_no_key() -> None:
    free = {
        path
        for path, item in DOCUMENT["paths"].items()
        for operation in item.values()
        if operation.get("security") == []
    }

    assert free == {"/healthz", "/openapi.json", "/api/v2/openapi.json"}


def test_an_upload_is_a_form_with_a_file() -> None:
    body = DOCUMENT["paths"]["/api/v2/videos/upload"]["post"]["requestBody"]

    assert set(body["content"]["multipart/form-data"]["schema"]["required"]) == {"file", "title"}


def test_bare_arrays_are_documented_as_such() -> None:
    answer = DOCUMENT["paths"]["/api/v2/indexes"]["get"]["responses"]["200"]

    schema = answer["content"]["application/json"]["schema"]
    assert schema == {"type": "array", "items": {"$ref": "#/components/schemas/Index"}}
    assert "X-Next-Cursor" in answer["headers"]


def test_rules_name_messages_and_fields_that_exist() -> None:
    messages = {}
    pending = [
        kind
        for file in FILES
        for service in file.services_by_name.values()
        for method in service.methods
        for kind in (method.input_type,)
    ]
    while pending:
        message = pending.pop()
        if message.name not in messages:
            messages[message.name] = {field.name for field in message.fields}
            pending += [f.message_type for f in message.fields if f.message_type is not None]

    for table in (RULES, REQUIRED):
        for name, fields in table.items():
            assert set(fields) <= messages[name], name
