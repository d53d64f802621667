"""Where the client connects to, and as whom."""

import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from promptreel_client import Client, errors
from promptreel_client.connection import DEFAULT_ADDRESS, connect


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PROMPTREEL_ADDRESS", raising=False)
    monkeypatch.delenv("PROMPTREEL_API_KEY", raising=False)


def test_arguments_go_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMPTREEL_ADDRESS", "elsewhere:1")
    monkeypatch.setenv("PROMPTREEL_API_KEY", "sk_environment")
    found = connect("here:2", "sk_argument", None, None)
    assert (found.target, found.api_key) == ("here:2", "sk_argument")


def test_the_environment_goes_before_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMPTREEL_ADDRESS", "elsewhere:1")
    monkeypatch.setenv("PROMPTREEL_API_KEY", "sk_environment")
    found = connect(None, None, None, None)
    assert (found.target, found.api_key) == ("elsewhere:1", "sk_environment")


def test_there_is_a_default_address_and_no_default_key() -> None:
    assert connect(None, "sk", None, None).target == DEFAULT_ADDRESS
    with pytest.raises(errors.AuthenticationError, match="PROMPTREEL_API_KEY"):
        Client()


def test_the_key_is_not_shown() -> None:
    assert "sk_secret" not in repr(connect(None, "sk_secret", None, None))


@pytest.mark.parametrize(
    ("address", "target", "secure"),
    [
        ("host:1", "host:1", False),
        ("http://host:1/", "host:1", False),
        ("https://host:1", "host:1", True),
        ("[::1]:50051", "[::1]:50051", False),
    ],
)
def test_an_address_may_say_whether_to_use_tls(address: str, target: str, secure: bool) -> None:
    found = connect(address, "sk", None, None)
    assert found.target == target
    assert (found.credentials is not None) is secure


def test_tls_can_be_asked_for_and_refused() -> None:
    assert connect("host:1", "sk", None, True).credentials is not None
    assert connect("https://host:1", "sk", None, False).credentials is None


def test_an_address_of_another_kind_is_refused() -> None:
    with pytest.raises(errors.InvalidRequestError, match="HOST:PORT"):
        connect("ftp://host:1", "sk", None, None)


def test_roots_that_are_not_there_are_refused(tmp_path: Path) -> None:
    with pytest.raises(errors.InvalidRequestError, match="tls"):
        connect("host:1", "sk", None, tmp_path / "none.pem")


def test_a_closed_client_says_so() -> None:
    client = Client(api_key="sk")
    client.close()
    with pytest.raises(errors.UnavailableError, match="closed"):
        client.indexes.retrieve("idx_1")


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A key and its certificate for localhost, good for a day."""
    key, roots = tmp_path / "key.pem", tmp_path / "roots.pem"
    argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    argv += ["-nodes", "-days", "1", "-subj", "/CN=localhost"]
    argv += ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(roots)]
    try:
        subprocess.run(argv, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    return key, roots


def test_a_server_with_a_private_certificate_is_reached_through_its_roots(
    certificate: tuple[Path, Path],
) -> None:
    key, roots = certificate
    server = grpc.server(ThreadPoolExecutor(1))
    credentials = grpc.ssl_server_credentials([(key.read_bytes(), roots.read_bytes())])
    port = server.add_secure_port("localhost:0", credentials)
    server.start()
    try:
        with (
            Client(f"localhost:{port}", api_key="sk", tls=roots) as client,
            pytest.raises(errors.InternalError) as caught,
        ):
            client.indexes.retrieve("idx_1")
        assert caught.value.code == "grpc_unimplemented"  # it answered
    finally:
        server.stop(0)
