"""Brings a database to the newest schema."""

from pathlib import Path

from alembic import command
from alembic.config import Config

SCRIPTS = Path(__file__).parent / "migrations"


def migrate(url: str) -> None:
    """Apply the migrations that a database lacks; nothing where it lacks none.

    `url` is that of a blocking driver, such as `sqlite:///…`.
    """
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    command.upgrade(config, "head")
