"""The migrations lead to the tables that the code works with."""

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine

from promptreel_server.errors import Unavailable
from promptreel_server.store.schema.migrate import is_current, migrate
from promptreel_server.store.schema.tables import metadata
from tests.postgres import Postgres


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without any table."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/fresh.db"
    postgres: Postgres = request.getfixturevalue("postgres")
    return postgres.new_empty_database().replace("postgresql:", "postgresql+psycopg:")


def test_the_migrations_make_just_the_tables_that_the_code_names(url: str) -> None:
    migrate(url)
    engine = create_engine(url)
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


def test_a_database_of_a_newer_version_is_told_as_such(url: str) -> None:
    migrate(url)
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    engine.dispose()
    with pytest.raises(Unavailable, match="newer version"):
        migrate(url)
