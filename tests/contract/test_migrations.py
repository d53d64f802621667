"""The migrations lead to the tables that the code works with."""

from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine

from promptreel_server.store.migrate import is_current, migrate
from promptreel_server.store.tables import metadata


def test_the_migrations_make_just_the_tables_that_the_code_names(tmp_path: Path) -> None:
    path = tmp_path / "fresh.db"
    migrate(f"sqlite:///{path}")
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), metadata)
    engine.dispose()
    assert differences == []


def test_a_migrated_file_is_known_to_be_current_and_others_are_not(tmp_path: Path) -> None:
    path = tmp_path / "fresh.db"
    absent = is_current(path)
    path.touch()
    empty = is_current(path)
    migrate(f"sqlite:///{path}")
    assert (absent, empty, is_current(path)) == (False, False, True)
