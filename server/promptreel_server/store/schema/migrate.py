"""Brings a database to the newest schema."""

import logging
import sqlite3
from contextlib import closing
from pathlib import Path

from promptreel_server.errors import Unavailable

log = logging.getLogger(__name__)

SCRIPTS = Path(__file__).parents[1] / "migrations"


def newest() -> str:
    """Name the newest revision: the scripts are numbered, `0001_first.py` and on."""
    return max(script.name.partition("_")[0] for script in (SCRIPTS / "versions").glob("[0-9]*.py"))


def is_current(path: Path) -> bool:
    """Tell whether a SQLite file has the newest schema, without loading Alembic for it."""
    if not path.exists():
        return False
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        try:
            found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        except sqlite3.OperationalError:
            return False
    return found is not None and found[0] == newest()


def migrate(url: str) -> None:
    """Apply the migrations that a database lacks; nothing where it lacks none.

    `url` is that of a blocking driver, such as `sqlite:///…`.

    Raises:
        Unavailable: its schema is none that this version knows.
    """
    from alembic import command  # a third of a second, and seldom needed
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise Unavailable(
            f"The database can't be brought to the schema of this version ({error}); if a newer "
            "version has used it, install that one again."
        ) from error
    log.info("the database has the schema of revision %s", newest())
