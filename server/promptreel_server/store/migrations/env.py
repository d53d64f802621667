"""Runs the migrations over a blocking connection, one transaction for all of them."""

from alembic import context
from sqlalchemy import create_engine

from promptreel_server.store.schema.tables import metadata


def _run() -> None:
    url = context.config.get_main_option("sqlalchemy.url")
    engine = create_engine(url or "")
    try:
        with engine.connect() as connection:
            context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
            with context.begin_transaction():
                context.run_migrations()
    finally:
        engine.dispose()


_run()
