"""Reads the error envelope out of an answer."""

import httpx


def refusal_of(answer: httpx.Response) -> dict[str, object]:
    """The envelope's content; fails where the answer is no envelope, or shows that grpc made it."""
    assert answer.headers["content-type"] == "application/json"
    assert not [name for name in answer.headers if name.startswith(("grpc-", "x-error", "x-http"))]
    body = answer.json()
    assert list(body) == ["error"]
    error = body["error"]
    assert set(error) == {"code", "message", "details", "request_id"}
    assert error["message"]
    assert error["request_id"] == answer.headers["x-request-id"]
    assert isinstance(error, dict)
    return error
