"""The command line of the database: `visavis db`. Like cli.py it imports what a command does when the command runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

database = typer.Typer(
    no_args_is_help=True, help="Copy the database, back up a server's data, and let stages' machines in."
)


@database.command("backup")
def backup(
    into: Annotated[Path, typer.Argument(help="The folder to make. A server can start with it.")],
) -> None:
    """Back up the data folder while its server runs: the SQLite database as of one moment, avatars, pictures and the
    secret. A PostgreSQL is backed up with pg_dump, before this.
    """
    from visavis.store.command import back_up_configured

    back_up_configured(into)


@database.command("copy")
def copy(
    source: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="The SQLite database to copy. Default: the one in the data folder."),
    ] = None,
) -> None:
    """Copy an SQLite database into the PostgreSQL of VISAVIS_DATABASE_URL, which must be empty. No server may run on
    the data folder meanwhile. Avatars and pictures stay where they are.
    """
    from visavis.store.command import copy_into_configured

    copy_into_configured(source)


@database.command("stage-role")
def stage_role(
    name: Annotated[str, typer.Option(help="The role's name.")] = "visavis_stage",
) -> None:
    """Make the PostgreSQL role of stages' machines, which can enter and renew their rows and do nothing else. Print the
    database's address for it, with its password. Again, it gives the role another password.
    """
    from visavis.store.command import make_configured_stage_role

    make_configured_stage_role(name)
