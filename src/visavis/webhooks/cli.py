"""The command line `visavis webhooks`. Like cli.py it imports what a command does when the command runs."""

from __future__ import annotations

from typing import Annotated

import typer

webhooks = typer.Typer(no_args_is_help=True, help="Try webhooks on a developer's machine.")


@webhooks.callback()
def _group() -> None:
    """Keep `listen` a command of its own though it is the only one."""


@webhooks.command("listen")
def webhooks_listen(
    forward_to: Annotated[str, typer.Option(help="The address of your program, such as http://localhost:3000/hook.")],
    base: Annotated[str, typer.Option(help="The server's address.", envvar="VISAVIS_BASE")] = "http://127.0.0.1:8080",
    key: Annotated[str, typer.Option(help="An API key with the scope webhooks:write.", envvar="VISAVIS_KEY")] = "",
    event: Annotated[list[str] | None, typer.Option(help="A type to get; may be repeated. Default: all.")] = None,
) -> None:
    """Bring the signed events of an account to a program on this machine, until Ctrl-C. Prints the secret that verifies
    them, then one line for each event. The server need not reach this machine.
    """
    from visavis.webhooks.commands.listen import listen

    listen(base=base, key=key, forward_to=forward_to, events=event or [])
