"""Whether the runtimes of the offline models are installed."""

from importlib.util import find_spec

from promptreel_server.errors import Unavailable


def require_runtime(*modules: str) -> None:
    """Raise Unavailable, naming the extra that brings them, where a module is missing."""
    missing = [module for module in modules if find_spec(module) is None]
    if missing:
        raise Unavailable(
            f"the offline models need {', '.join(missing)}; install them with: "
            'pip install "promptreel[local]"'
        )
