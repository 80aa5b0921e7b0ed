"""The command line of the database: `visavis db`. Like cli.py it imports what a command does when the command runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

database = typer.Typer(no_args_is_help=True, help="Copy the database.")


@database.callback()
def _of_several() -> None:
    """Typer makes a group of it only so, while there is one command."""


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
