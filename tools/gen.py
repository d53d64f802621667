"""Write what is generated from the contract: the Python stubs and the gateway's descriptor set."""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
STUBS = Path("gen")
DESCRIPTOR = Path("gateway/api.binpb")


def generate(root: Path) -> None:
    """Write `gen/` and `gateway/api.binpb` below `root`.

    Raises `subprocess.CalledProcessError` where the contract does not compile; the tool has then
    said why on standard error.
    """
    stubs, descriptor = root / STUBS, root / DESCRIPTOR
    stubs.mkdir(parents=True, exist_ok=True)
    descriptor.parent.mkdir(parents=True, exist_ok=True)
    protos = sorted((ROOT / "proto").rglob("*.proto"))
    protoc(protos, "mypy", f"--python_out={stubs}", f"--mypy_out=quiet:{stubs}")
    # Only where there is a service: the other files would come out empty.
    services = [proto for proto in protos if re.search(r"^service ", proto.read_text(), re.M)]
    protoc(services, "mypy_grpc", f"--grpc_python_out={stubs}", f"--mypy_grpc_out=quiet:{stubs}")
    (stubs / "promptreel" / "py.typed").touch()  # whoever installs the stubs may rely on them
    # The whole workspace: without google/rpc in the set, Envoy answers errors with an empty body.
    build = ["build", "--exclude-source-info", "--as-file-descriptor-set", "-o", str(descriptor)]
    run([str(BIN / "buf"), *build])


def protoc(protos: list[Path], plugin: str, *outputs: str) -> None:
    """Compile `protos`; `plugin` names the mypy plugin that writes the type stubs."""
    run(
        [sys.executable, "-m", "grpc_tools.protoc", "-Iproto", "-Ithird_party"]
        + [f"--plugin={BIN / f'protoc-gen-{plugin}'}", *outputs]
        + [str(proto.relative_to(ROOT)) for proto in protos]
    )


def run(command: list[str]) -> None:
    """Run one tool from the root of the project."""
    subprocess.run(command, cwd=ROOT, check=True)


def main() -> None:
    """Replace `gen/` and the descriptor by what the contract says now."""
    with tempfile.TemporaryDirectory() as fresh:
        generate(Path(fresh))
        shutil.rmtree(ROOT / STUBS, ignore_errors=True)
        shutil.copytree(Path(fresh) / STUBS, ROOT / STUBS)
        shutil.copyfile(Path(fresh) / DESCRIPTOR, ROOT / DESCRIPTOR)


if __name__ == "__main__":
    main()
