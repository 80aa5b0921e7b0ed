"""Schema migrations, run at every start. A new migration is a file in `versions/`. A released one is never edited.

A fleet's servers are updated one after the other: one of the version before goes on with a schema that a newer one has
brought up to date, and may start again on it. So a migration only adds (tests/store/test_schema_of_two_versions.py);
what nobody needs any more goes a version later. decision 82.
"""

from __future__ import annotations

from pathlib import Path

import structlog
from sqlalchemy import Connection, inspect, text

from visavis.store.database import ForeignSchema, begin_writing

FOLDER = Path(__file__).parent

log = structlog.get_logger()

OLDEST_READER = "0022"
"""Programs whose newest revision is this one or a later one can use the schema of this program, too. A migration that
takes away what they need raises it to its own revision: then all servers have to stop for it.
"""
_LOCK = 0x7669736176  # of PostgreSQL: any number, the same in every version
# So long a migration waits for a table of PostgreSQL that others read (a dump, for an hour). Everybody else waits
# behind it, servers that renew their leases as well: those end after 2 s.
LOCK_WITHIN_MS = 300


def newest_revision() -> str:
    """Return the revision of the last file in `versions/`. The files' names begin with their revision, and revisions
    count up.
    """
    return _revisions()[-1]


def _revisions() -> list[str]:
    """Return the revisions of the files in `versions/`, oldest first."""
    return sorted(path.name.partition("_")[0] for path in (FOLDER / "versions").glob("[0-9]*.py"))


def has_newest_schema(connection: Connection) -> bool:
    """Whether no migration is missing. Raises `ForeignSchema` for a database of another program, or of a newer version
    of this one whose schema it cannot use.
    """
    found = inspect(connection)
    if not found.has_table("alembic_version"):
        if tables := found.get_table_names():
            raise ForeignSchema(f"belongs to another program: it has the table {tables[0]}")
        return False
    revision = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    if revision is None or revision in _revisions():
        return bool(revision == newest_revision())
    if not _can_be_read(connection):
        raise ForeignSchema(
            f"has the schema {revision}, which this version of Visavis does not know",
            suggestion="A newer version has used it: install that one, or restore a backup from before it",
        )
    log.warning("schema_of_a_newer_version", schema=revision, own=newest_revision())
    return True


def _can_be_read(connection: Connection) -> bool:
    """Whether the newer version that has brought the schema up to date says that this one can use it."""
    columns = [column["name"] for column in inspect(connection).get_columns("alembic_version")]
    if "oldest_reader" not in columns:
        return False
    oldest: str | None = connection.execute(text("SELECT oldest_reader FROM alembic_version")).scalar()
    return oldest is not None and oldest <= newest_revision()


def upgrade(connection: Connection) -> None:
    """Bring the schema to the newest version in the caller's transaction. Several processes may do this at once: one of
    them does it, and the others wait. Raises what `failures.is_locked` knows if others hold a table of PostgreSQL:
    try again.
    """
    if has_newest_schema(connection):
        return
    sqlite = connection.dialect.name == "sqlite"
    if sqlite:
        # SQLite changes a table by replacing it, which would break the references to it for a moment. This pragma works
        # outside a transaction only, and stays with the connection (https://sqlite.org/lang_altertable.html, section
        # 7).
        connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
    begin_writing(connection)
    if not sqlite:
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
    if has_newest_schema(connection):
        return
    if not sqlite:
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_WITHIN_MS}ms'")
    # Imported here, because Alembic takes 12 MB of memory, and a server with an up-to-date schema does not need it.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    connection.execute(text("UPDATE alembic_version SET oldest_reader = :oldest"), {"oldest": OLDEST_READER})
    if sqlite:
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
        assert broken is None, broken
