"""The command lines of accounts, keys, plans and stages' tokens: `visavis accounts`, `visavis keys`, `visavis plans`,
`visavis stage-tokens`. Like cli.py it imports what a command does when the command runs.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import typer

from visavis.accounts.scopes import Scope
from visavis.accounts.sources import parse_source

if TYPE_CHECKING:
    from visavis.store.accounts import PlanChanges

UNLIMITED = "unlimited"

accounts = typer.Typer(no_args_is_help=True, help="List accounts, add minutes, show usage.")
keys = typer.Typer(no_args_is_help=True, help="Create, list, rotate and revoke API keys.")
plans = typer.Typer(no_args_is_help=True, help="List, change and assign plans.")
stage_tokens = typer.Typer(no_args_is_help=True, help="Let the stages of other machines in: create and revoke tokens.")


def _parse_sources(texts: list[str] | None) -> list[str]:
    try:
        return [parse_source(text) for text in texts or []]
    except ValueError as error:
        raise typer.BadParameter(f"{error}; write for example 203.0.113.7 or 203.0.113.0/24") from None


def _check_limit(text: str | None, *, least: int) -> str | None:
    if text is None or text == UNLIMITED:
        return text
    if not (text.isascii() and text.isdigit()) or not least <= int(text) <= 2**31 - 1:
        raise typer.BadParameter(f"write a whole number from {least}, or {UNLIMITED}")
    return text


def _check_limit_from_0(text: str | None) -> str | None:
    return _check_limit(text, least=0)


def _check_limit_from_1(text: str | None) -> str | None:
    return _check_limit(text, least=1)


def _limit_of(text: str) -> int | None:
    return None if text == UNLIMITED else int(text)


def _parse_plan_key(text: str) -> str:
    if re.fullmatch("[a-z0-9][a-z0-9_-]{0,63}", text) is None:
        raise typer.BadParameter("write small letters, digits, - and _")
    return text


KeyId = Annotated[str, typer.Argument(help="The key's id, as `visavis keys list` prints it.")]
AccountId = Annotated[str, typer.Argument(help="The account's id, as `visavis accounts list` prints it.")]
PlanKey = Annotated[str, typer.Argument(help="The plan's key.", callback=_parse_plan_key)]


@accounts.command("list")
def accounts_list() -> None:
    """List accounts: id, name, plan, and when it was created."""
    from visavis.accounts.commands.accounts import list_accounts

    list_accounts()


@accounts.command("credit")
def accounts_credit(
    account_id: AccountId,
    minutes: Annotated[int, typer.Argument(min=1, max=2**31 - 1, help="How many minutes to add.")],
) -> None:
    """Add purchased minutes to an account. They are used when the plan's own are; the oldest first."""
    from visavis.accounts.commands.accounts import credit_account

    credit_account(account_id, minutes=minutes)


@accounts.command("usage")
def accounts_usage(account_id: AccountId) -> None:
    """Show the minutes of an account in this month (UTC)."""
    from visavis.accounts.commands.accounts import show_usage

    show_usage(account_id)


@accounts.command("audit")
def accounts_audit(
    account: Annotated[str | None, typer.Option(help="Only what belongs to this account.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many entries at most.")] = 100,
) -> None:
    """Show who has changed keys, plans, minutes and webhooks, and deleted avatars and sessions, newest first."""
    from visavis.accounts.commands.audit import show_audit

    show_audit(account_id=account, limit=limit)


@plans.command("list")
def plans_list() -> None:
    """List plans: key, name, sessions at once, minutes included each month, and the longest session."""
    from visavis.accounts.commands.plans import list_plans

    list_plans()


@plans.command("set")
def plans_set(
    plan_key: PlanKey,
    name: Annotated[str | None, typer.Option(help="The name that customers see.")] = None,
    concurrency: Annotated[
        str | None, typer.Option(help="Sessions at once, or unlimited.", callback=_check_limit_from_0)
    ] = None,
    minutes: Annotated[
        str | None, typer.Option(help="Minutes included each month, or unlimited.", callback=_check_limit_from_0)
    ] = None,
    session_minutes: Annotated[
        str | None, typer.Option(help="How long a session may last, or unlimited.", callback=_check_limit_from_1)
    ] = None,
    waive_unwatched: Annotated[
        bool | None,
        typer.Option(
            "--waive-unwatched/--bill-unwatched", help="Whether sessions that nobody has watched are billed nothing."
        ),
    ] = None,
) -> None:
    """Change a plan, or make a new one. What is left out stays; in a new plan it is unlimited. This holds at once for
    all accounts on the plan; sessions that run keep the length that they started with.
    """
    from visavis.accounts.commands.plans import set_plan

    changes: PlanChanges = {} if name is None else {"name": name}
    if concurrency is not None:
        changes["max_concurrency"] = _limit_of(concurrency)
    if minutes is not None:
        changes["included_minutes"] = _limit_of(minutes)
    if waive_unwatched is not None:
        changes["waives_unwatched"] = waive_unwatched
    if session_minutes is not None:
        changes["max_session_minutes"] = _limit_of(session_minutes)
    set_plan(plan_key, changes)


@plans.command("assign")
def plans_assign(account_id: AccountId, plan_key: PlanKey) -> None:
    """Put an account on a plan. This takes effect at once."""
    from visavis.accounts.commands.plans import assign_plan

    assign_plan(account_id, plan_key)


@keys.command("create")
def keys_create(
    name: Annotated[str, typer.Option(help="What the key is for.")],
    account: Annotated[
        str | None,
        typer.Option(help="The id of the account that gets the key. Default: a new account with the key's name."),
    ] = None,
    test: Annotated[bool, typer.Option("--test", help="A test key: free sessions of at most 60 s.")] = False,
    scope: Annotated[
        list[Scope] | None, typer.Option(help="What the key may do; may be repeated. Default: everything but admin.")
    ] = None,
    source: Annotated[
        list[str] | None,
        typer.Option(
            help="An address or network from which the key may be used; may be repeated. Default: everywhere.",
            callback=_parse_sources,
        ),
    ] = None,
    days: Annotated[
        float | None, typer.Option(min=0, max=36_500, help="How many days the key is valid. Default: until revoked.")
    ] = None,
) -> None:
    """Create a key and print it on a line of its own. It is never shown again."""
    from visavis.accounts.commands.keys import create_key

    create_key(name=name, test=test, account_id=account, scopes=scope or (), sources=source or (), days=days)


@keys.command("list")
def keys_list() -> None:
    """List keys: id, name, the start of the key, its account, its scopes, from where it may be used, when it was
    created and last used, and whether it is active, expired or revoked.
    """
    from visavis.accounts.commands.keys import list_keys

    list_keys()


@keys.command("rotate")
def keys_rotate(
    key_id: KeyId,
    overlap_hours: Annotated[
        float, typer.Option(min=0, max=8_760, help="How many hours the old key goes on working.")
    ] = 24,
) -> None:
    """Replace a key: print a new one that can do the same, and let the old one expire. Sessions go on."""
    from visavis.accounts.commands.keys import rotate_key

    rotate_key(key_id, overlap_hours=overlap_hours)


@keys.command("sign-in")
def keys_sign_in(
    key_id: Annotated[str | None, typer.Argument(help="The key's id. Default: the oldest active key.")] = None,
    name: Annotated[
        str | None, typer.Option(help="Instead of an id: a key's name. It is created if there is none.")
    ] = None,
    url: Annotated[
        str | None, typer.Option(help="The server's address. Default: VISAVIS_PUBLIC_URL, or this machine's port 8000.")
    ] = None,
    console: Annotated[
        bool, typer.Option("--console", help="Open the console, with the oldest active key of the scope admin.")
    ] = False,
) -> None:
    """Print an address that signs a browser in once, within an hour. The browser may then do what the key may do."""
    from visavis.accounts.commands.sign_in import print_sign_in_address

    if key_id is not None and name is not None:
        raise typer.BadParameter("give an id or a name, not both")
    print_sign_in_address(key_id, name=name, url=url, console=console)


@keys.command("revoke")
def keys_revoke(key_id: KeyId) -> None:
    """Revoke a key. This takes effect at once."""
    from visavis.accounts.commands.keys import revoke_key

    revoke_key(key_id)


@stage_tokens.command("create")
def stage_tokens_create(name: Annotated[str, typer.Option(help="Of which machine, or machines.")]) -> None:
    """Create a token with which stages enter themselves in the PostgreSQL, and print it on a line of its own. It is
    never shown again.
    """
    from visavis.accounts.commands.stage_tokens import create_stage_token

    create_stage_token(name)


@stage_tokens.command("list")
def stage_tokens_list() -> None:
    """List tokens of stages: id, name, when it was created and revoked."""
    from visavis.accounts.commands.stage_tokens import list_stage_tokens

    list_stage_tokens()


@stage_tokens.command("revoke")
def stage_tokens_revoke(
    token_id: Annotated[str, typer.Argument(help="The token's id, as `visavis stage-tokens list` prints it.")],
) -> None:
    """Revoke a token. Its stages are lost with their next renewal."""
    from visavis.accounts.commands.stage_tokens import revoke_stage_token

    revoke_stage_token(token_id)
