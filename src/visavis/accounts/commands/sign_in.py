"""`visavis keys sign-in`."""

from __future__ import annotations

from visavis.accounts.commands.database import with_accounts
from visavis.accounts.scopes import DEFAULT_SCOPES, Scope
from visavis.accounts.service import Accounts
from visavis.accounts.sign_ins import SignIns
from visavis.errors import KeyNotFound
from visavis.settings import read_settings

_LOCAL_URL = "http://127.0.0.1:8000"


def print_sign_in_address(key_id: str | None, *, name: str | None, url: str | None, console: bool) -> None:
    """Print an address of the playground, or of the `console`, that signs in once. Raises `KeyNotFound` and
    `KeyNotActive`.
    """
    settings = read_settings()

    async def issue(accounts: Accounts) -> str:
        sign_ins = SignIns(accounts.database, accounts, lasts_s=settings.sign_in_s)
        return await sign_ins.issue_code(key_id or await _active_key(accounts, name=name, operator=console))

    code = with_accounts(issue, create=name is not None)
    base_url = (url or settings.public_url or _LOCAL_URL).rstrip("/")
    page = "console" if console else ""
    print(f"{base_url}/{page}#code={code}", flush=True)


async def _active_key(accounts: Accounts, *, name: str | None, operator: bool) -> str:
    """Return the id of the oldest active key; of this name, if one is given: then it is created if there is none.
    `operator`: one with the scope `admin`. Raises `KeyNotFound`.
    """
    scope = " --scope admin" if operator else ""
    for key in await accounts.all():
        may = not operator or Scope.ADMIN in key.scopes
        if accounts.is_active(key) and may and (name is None or key.name == name):
            return key.id
    if name is None:
        what = "active key with the scope admin" if operator else "active key"
        raise KeyNotFound(f"There is no {what}", suggestion=f"`visavis keys create --name NAME{scope}` makes one")
    record, _ = await accounts.create(name=name, scopes=[Scope.ADMIN] if operator else DEFAULT_SCOPES)
    return record.id
