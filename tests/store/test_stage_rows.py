"""The row of a stage's machine, in a real PostgreSQL: entered and renewed with a token, by a role that may do nothing
else.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import pytest
from anyio.to_thread import run_sync
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from tests.postgresql import Cluster
from tests.store.fleet_database import let_pass, open_fleet, steady_server
from visavis import cli
from visavis.errors import DatabaseUnusable, StageNotAdmitted
from visavis.store.database import Database
from visavis.store.leases import LEASE_MS, Lease, Leases
from visavis.store.models import metadata, stages
from visavis.store.stage_role import make_stage_role
from visavis.store.stage_rows import Reached, Room, StageRows
from visavis.store.stage_tokens import StageTokens

pytestmark = pytest.mark.anyio

ROOM = Room(room_mcores=1_700, frame_us=2_000, mpx_us=4_000)
REACHED = Reached(address="wss://10.0.0.2:8443", port_token="what servers say", certificate="PEM")
NOBODY = Lease(id="stage_a", epoch=0)


class Machines:
    """`url`: of the database, for the role of stages. `rows`: with a token."""

    def __init__(self, database: Database, beside: Database, url: str, token: tuple[str, str]) -> None:
        self.database, self.beside, self.url = database, beside, url
        self.token_id, token_text = token
        self.rows = StageRows.at(url, token=token_text)

    async def row(self, stage_id: str) -> dict[str, object]:
        async with self.database.read() as connection:
            found = (await connection.execute(select(stages).where(stages.c.id == stage_id))).mappings().one()
        return dict(found)


@pytest.fixture
async def machines(postgresql_url: str) -> AsyncIterator[Machines]:
    name = f"stage_{uuid4().hex}"  # roles are of the whole cluster
    async with open_fleet(postgresql_url) as (database, beside):
        url = await make_stage_role(database, name=name)
        assert urlsplit(url).username == name
        found = Machines(database, beside, url, await StageTokens(database).create("a machine"))
        try:
            yield found
        finally:
            await found.rows.aclose()
            async with database.write() as connection:
                await connection.execute(text(f"DROP OWNED BY {name}"))
                await connection.execute(text(f"DROP ROLE {name}"))


async def test_a_machine_enters_renews_drains_and_leaves(machines: Machines) -> None:
    lease = await machines.rows.enter("stage_a", REACHED, labels={"region": "eu"}, room=ROOM)
    row = await machines.row("stage_a")
    told = ("address", "port_token", "certificate", "labels", "room_mcores", "taken_mcores", "draining", "ended_at_ms")
    assert [row[name] for name in told] == [*_of(REACHED), {"region": "eu"}, 1_700, 0, False, None]
    assert row["token_id"] == machines.token_id and row["epoch"] == lease.epoch == 1
    await let_pass(machines.database, stages, "stage_a", ms=LEASE_MS + 1)
    busier = Room(room_mcores=900, frame_us=3_000, mpx_us=5_000, draining=True)
    assert await machines.rows.renew(lease, busier), "nobody has ended it"
    renewed = await machines.row("stage_a")
    assert (renewed["room_mcores"], renewed["frame_us"], renewed["mpx_us"]) == (900, 3_000, 5_000)
    assert renewed["draining"] is True and renewed["steady_since_ms"] == renewed["seen_at_ms"], "after a gap"
    assert await Leases.of_stages(machines.beside).count() == 1
    assert await machines.rows.renew(lease, ROOM)
    steady = await machines.row("stage_a")
    assert steady["steady_since_ms"] == renewed["steady_since_ms"] and steady["draining"] is False
    await machines.rows.leave(lease, ROOM)
    assert await Leases.of_stages(machines.beside).count() == 0
    assert not await machines.rows.renew(lease, ROOM)


def _of(reached: Reached) -> list[str | None]:
    return [reached.address, reached.port_token, reached.certificate]


async def test_an_answer_that_was_lost_is_asked_for_again_and_an_ended_lease_is_not_taken_again(
    machines: Machines,
) -> None:
    first = await machines.rows.enter("stage_a", REACHED, labels={}, room=ROOM)
    second = await machines.rows.enter("stage_a", REACHED, labels={}, room=ROOM)
    assert second.epoch == first.epoch + 1
    assert not await machines.rows.renew(first, ROOM) and await machines.rows.renew(second, ROOM)
    server = await steady_server(machines.database, machines.beside, "server")
    await let_pass(machines.database, stages, "stage_a", ms=LEASE_MS + 1)
    assert await Leases.of_stages(machines.beside).end_lapsed(server) == ["stage_a"]
    assert not await machines.rows.renew(second, ROOM), "it slept"
    with pytest.raises(StageNotAdmitted, match="its lease has ended"):
        await machines.rows.enter("stage_a", REACHED, labels={}, room=ROOM)
    await machines.rows.enter("stage_b", REACHED, labels={}, room=ROOM)


async def test_a_wrong_a_revoked_and_anothers_token_change_nothing(machines: Machines) -> None:
    lease = await machines.rows.enter("stage_a", REACHED, labels={}, room=ROOM)
    before = await machines.row("stage_a")
    _, other_token = await StageTokens(machines.database).create("another machine")
    for token, told in (("wrong", "wrong or was revoked"), (other_token, "another stage's")):
        other = StageRows.at(machines.url, token=token)
        assert not await other.renew(lease, Room(room_mcores=0, frame_us=1, mpx_us=1))
        await other.leave(lease, ROOM)
        with pytest.raises(StageNotAdmitted, match=told):
            await other.enter("stage_a", Reached(address="wss://thief:1", port_token=""), labels={}, room=ROOM)
        await other.aclose()
    assert await machines.row("stage_a") == before
    tokens = StageTokens(machines.database)
    assert await tokens.revoke(machines.token_id) and not await tokens.revoke(machines.token_id)
    assert [one.revoked_at_ms is None for one in await tokens.all()] == [False, True]
    assert not await machines.rows.renew(lease, ROOM)
    with pytest.raises(StageNotAdmitted, match="revoked"):
        await machines.rows.enter("stage_b", REACHED, labels={}, room=ROOM)


async def test_the_role_may_do_nothing_else(machines: Machines) -> None:
    await machines.rows.enter("stage_a", REACHED, labels={}, room=ROOM)
    owner = urlsplit(machines.database.url).username
    refused = [f"SELECT * FROM {table}" for table in metadata.tables]
    refused += [f"INSERT INTO {table} DEFAULT VALUES" for table in metadata.tables]
    refused += [
        f"UPDATE {table.name} SET {table.primary_key.columns[0].name} = NULL" for table in metadata.sorted_tables
    ]
    refused += [f"DELETE FROM {table}" for table in metadata.tables]
    refused += [f"TRUNCATE {table}" for table in metadata.tables]
    refused += ["SELECT * FROM alembic_version", "SELECT count(*) FROM keys", "SELECT id FROM stages"]
    refused += ["CREATE TABLE mine (a int)", "CREATE SCHEMA mine", f"SET ROLE {owner}", "CREATE ROLE more"]
    refused += ["CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'", "SELECT pg_read_file('/etc/passwd')"]
    refused += ["ALTER FUNCTION visavis_renew_stage RESET ALL", "COPY stages TO PROGRAM 'cat'", "DROP TABLE stages"]
    async with machines.rows._database.read() as connection:
        for statement in refused:
            with pytest.raises(DBAPIError, match=r"permission denied|must be (owner|superuser)"):
                await connection.exec_driver_sql(statement)


async def test_nothing_of_the_roles_own_stands_in_for_what_the_functions_name(machines: Machines) -> None:
    """They run with the rights of the tables' owner: a temporary table with a token of one's own is not looked at."""
    stranger = StageRows.at(machines.url, token="mine")
    async with stranger._database.read() as connection:
        for table in ("stage_tokens", "stages"):
            await connection.exec_driver_sql(f"CREATE TEMPORARY TABLE {table} (id text, hash text, revoked_at_ms int)")
        await connection.exec_driver_sql(
            "INSERT INTO pg_temp.stage_tokens VALUES ('x', encode(sha256('mine'::bytea), 'hex'), NULL)"
        )
        await connection.exec_driver_sql("SET search_path = pg_temp, public")
    with pytest.raises(StageNotAdmitted, match="wrong"):
        await stranger.enter("stage_b", REACHED, labels={}, room=ROOM)
    assert not await stranger.renew(NOBODY, ROOM)
    await stranger.aclose()


async def test_a_role_that_could_do_more_is_not_made(machines: Machines, postgresql_url: str) -> None:
    name = urlsplit(machines.url).username
    for grant, told in (
        ("GRANT SELECT (id) ON keys TO {role}", "to use keys"),
        ("GRANT TRUNCATE ON sessions TO PUBLIC", "to use sessions"),
        ("GRANT CREATE ON SCHEMA public TO {role}", "to create in the schema public"),
        ("GRANT pg_read_all_data TO {role}", "of the role pg_read_all_data"),
        ("ALTER ROLE {role} CREATEDB", "may do more"),
    ):
        async with machines.database.write() as connection:
            await connection.exec_driver_sql(grant.format(role=name))
        with pytest.raises(DatabaseUnusable, match=told):
            await make_stage_role(machines.database, name=name or "")
        undo = grant.replace("GRANT", "REVOKE").replace(" TO ", " FROM ").replace("CREATEDB", "NOCREATEDB")
        async with machines.database.write() as connection:
            await connection.exec_driver_sql(undo.format(role=name))
    again = await make_stage_role(machines.database, name=name or "")
    assert urlsplit(again).password != urlsplit(machines.url).password
    for bad in ("a b", "x; DROP TABLE keys", ""):
        with pytest.raises(DatabaseUnusable, match="no name of a role"):
            await make_stage_role(machines.database, name=bad)


async def test_a_server_whose_role_owns_the_database_and_nothing_else_may_make_it_while_it_makes_roles(
    postgresql_cluster: Cluster,
) -> None:
    """As docs/howto/databases.md makes it."""
    owner, name = f"owner_{uuid4().hex}", f"stage_{uuid4().hex}"
    url = postgresql_cluster.url(owner).replace("//visavis@", f"//{owner}@")
    await as_superuser(postgresql_cluster, f"CREATE ROLE {owner} LOGIN", f"CREATE DATABASE {owner} OWNER {owner}")
    database = await Database.open(url)
    try:
        with pytest.raises(DatabaseUnusable, match="permission denied") as refused:
            await make_stage_role(database, name=name)
        assert refused.value.suggestion is not None and "CREATEROLE" in refused.value.suggestion
        await as_superuser(postgresql_cluster, f"ALTER ROLE {owner} CREATEROLE")
        address = await make_stage_role(database, name=name)
        await as_superuser(postgresql_cluster, f"ALTER ROLE {owner} NOCREATEROLE")
        _, token = await StageTokens(database).create("a machine")
        rows = StageRows.at(address, token=token)
        assert (await rows.enter("stage_a", REACHED, labels={}, room=ROOM)).epoch == 1
        await rows.aclose()
    finally:
        await database.aclose()
        await as_superuser(postgresql_cluster, f"DROP DATABASE {owner} WITH (FORCE)")
        for role in (name, owner):
            await as_superuser(postgresql_cluster, f"DROP ROLE IF EXISTS {role}")


async def as_superuser(cluster: Cluster, *statements: str) -> None:
    connection = await asyncpg.connect(cluster.url("postgres"))
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def test_a_role_and_a_database_that_cannot_be_used_are_named(machines: Machines, postgresql_url: str) -> None:
    async with machines.database.write() as connection:
        name = urlsplit(machines.url).username
        await connection.exec_driver_sql(f"REVOKE EXECUTE ON FUNCTION visavis_enter_stage FROM {name}")
    with pytest.raises(StageNotAdmitted, match="its role may not enter it"):
        await machines.rows.enter("stage_a", REACHED, labels={}, room=ROOM)
    empty = StageRows.at(postgresql_url.rpartition("/")[0] + "/postgres", token="any")
    with pytest.raises(StageNotAdmitted, match="not Visavis' database"):
        await empty.enter("stage_a", REACHED, labels={}, room=ROOM)
    await empty.aclose()


@pytest.fixture
def visavis(
    tmp_path: Path, machines: Machines, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Awaitable[str]]:
    def run(arguments: tuple[str, ...]) -> str:
        monkeypatch.setenv("VISAVIS_DATA_DIR", str(tmp_path))
        monkeypatch.setenv("VISAVIS_DATABASE_URL", machines.database.url)
        monkeypatch.setattr("sys.argv", ["visavis", *arguments])
        with pytest.raises(SystemExit):
            cli.main()
        printed = capsys.readouterr()
        return printed.out + printed.err

    async def run_in_thread(*arguments: str) -> str:
        return await run_sync(run, arguments)

    return run_in_thread


async def test_the_commands_make_a_role_and_tokens(machines: Machines, visavis: Callable[..., Awaitable[str]]) -> None:
    url = (await visavis("db", "stage-role", "--name", str(urlsplit(machines.url).username))).strip()
    token = (await visavis("stage-tokens", "create", "--name", "in the cellar")).strip()
    rows = StageRows.at(url, token=token)
    await rows.enter("stage_a", REACHED, labels={}, room=ROOM)
    listed = await visavis("stage-tokens", "list")
    (token_id,) = [line.split()[0] for line in listed.splitlines() if "in the cellar" in line]
    assert token not in listed and "revoked" not in await visavis("stage-tokens", "revoke", token_id)
    assert "There is no token" in await visavis("stage-tokens", "revoke", token_id)
    with pytest.raises(StageNotAdmitted, match="revoked"):
        await rows.enter("stage_a", REACHED, labels={}, room=ROOM)
    await rows.aclose()
    assert "stage_token.created" in await visavis("accounts", "audit")


async def test_an_sqlite_database_has_no_such_role(tmp_path_factory: pytest.TempPathFactory) -> None:
    database = await Database.open(f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('data') / 'visavis.db'}")
    with pytest.raises(DatabaseUnusable, match="not shared"):
        await make_stage_role(database)
    await database.aclose()
