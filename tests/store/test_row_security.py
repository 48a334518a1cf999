"""Row-level security, as the role that serves tenants: it sees rows of its tenant, and nothing without one."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest

import trunkline_server.store
from tests.fixtures.usage_rows import fill
from trunkline.v1 import prompts_pb2
from trunkline_server.core.ids import new_uuid
from trunkline_server.store.acting import acting
from trunkline_server.store.database import Database
from trunkline_server.store.embedded import EmbeddedPostgres
from trunkline_server.store.migrate import MigrationError, migrate
from trunkline_server.store.prompts import Prompts
from trunkline_server.store.tenants import Tenants

PROMPT = "INSERT INTO prompt VALUES ($1, $2, $3, '', 1, 1)"
MINE = "SELECT name FROM prompt"
ROLE = "trunkline_tenant"
CONFINED_ROOMS = (
    *("assistants", "audit_log", "conversations", "files", "prompts", "search_stores", "tools"),
    *("webhook_deliveries", "webhook_endpoints"),
)
ALL_SEEING = {
    "conversations.begin": "takes the turn on the path of a call, by one statement, which names the tenant",
    "conversations.erase_user": "a chore in steps, each of which names the tenant",
    "audit_log.note": "writes to the audit, which the role may not",
    "audit_log.head": "of the chain itself, which the role may not read",
    "audit_log.prove": "compares with signatures, which the role may not read",
}


@pytest.fixture
async def tenant(database: Database) -> UUID:
    return (await Tenants(database).create("acme")).tenant_id


@pytest.fixture
async def other(database: Database) -> UUID:
    return (await Tenants(database).create("umbrella")).tenant_id


@pytest.fixture
async def prompts(database: Database, tenant: UUID, other: UUID) -> Prompts:
    """Each has one."""
    rooms = Prompts(database)
    for each, name in ((tenant, "mine"), (other, "theirs")):
        await rooms.create(each, name, "", prompts_pb2.PromptVersion())
    return rooms


async def test_a_statement_without_a_tenant_finds_what_is_ones_own(
    database: Database, prompts: Prompts, tenant: UUID, other: UUID
) -> None:
    assert [row["name"] for row in await database.of(tenant).fetch(MINE)] == ["mine"]
    assert [row["name"] for row in await database.of(other).fetch(MINE)] == ["theirs"]
    assert {row["name"] for row in await database.fetch(MINE)} == {"mine", "theirs"}, "the house sees all"
    assert await database.of(tenant).fetchval("SELECT count(*) FROM prompt_version") == 1, "what hangs on it as well"


async def test_nothing_of_others_is_changed(database: Database, prompts: Prompts, tenant: UUID, other: UUID) -> None:
    mine = database.of(tenant)
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        await mine.execute(PROMPT, new_uuid(), other, "smuggled")
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        await mine.execute("UPDATE prompt SET tenant_id = $1", other)
    assert await mine.execute("UPDATE prompt SET description = 'x' WHERE tenant_id = $1", other) == "UPDATE 0"
    assert await mine.execute("DELETE FROM prompt") == "DELETE 1"
    assert await database.fetchval("SELECT count(*) FROM prompt") == 1


async def test_what_others_spend_is_not_seen(database: Database, tenant: UUID, other: UUID) -> None:
    await fill(database, other, 10, 1)
    for table in ("usage", "usage_line", "usage_timing"):
        assert await database.of(other).fetchval(f"SELECT count(*) FROM {table}") >= 10
        assert await database.of(tenant).fetchval(f"SELECT count(*) FROM {table}") == 0


async def test_without_a_tenant_there_is_nothing(database: Database, prompts: Prompts) -> None:
    async with database.transaction() as connection:
        await connection.execute(f"SET LOCAL ROLE {ROLE}")
        assert await connection.fetch(MINE) == []


async def test_the_role_ends_with_its_transaction(database: Database, tenant: UUID) -> None:
    async with database.transaction() as connection:
        whole = "SELECT current_user || coalesce(nullif(current_setting('trunkline.tenant', true), ''), '')"
        as_it_was = await connection.fetchval(whole)
    for statement in ("SELECT 1", "SELECT 1 / 0"):
        try:
            await database.of(tenant).fetchval(statement)
        except asyncpg.DivisionByZeroError:
            assert statement != "SELECT 1"
        assert await database.fetchval(whole) == as_it_was


async def test_what_operators_do_for_a_tenant_is_noted_by_who_may_not_write_notes(
    database: Database, tenant: UUID
) -> None:
    note = "INSERT INTO guard_policy (tenant_id, policy, set_by) VALUES ($1, '', '')"
    with acting(tenant_id=tenant, principal="key_1", method="Set", request_id="r"):
        await database.of(tenant).execute(note, tenant)
    assert await database.fetchval("SELECT principal FROM audit_entry WHERE action = 'guard_policy.set'") == "key_1"
    for forbidden in ("DELETE FROM audit_entry", "INSERT INTO audit_head VALUES (gen_random_uuid())"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await database.of(tenant).execute(forbidden)


async def test_every_table_with_tenants_is_confined(database: Database) -> None:
    """A table that a later migration makes needs `SELECT confine('its_name');` there."""
    open_tables = await database.fetch(
        """
        SELECT relname FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
          AND attname = 'tenant_id' AND NOT (relrowsecurity AND EXISTS (
              SELECT FROM pg_policy WHERE polrelid = pg_class.oid AND NOT polpermissive
                 AND polroles = ARRAY['trunkline_tenant'::regrole::oid]))
        """
    )
    assert not open_tables


async def test_the_role_may_nothing_where_no_policy_holds_it(database: Database) -> None:
    unheld = await database.fetch(
        """
        SELECT relname FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm')
          AND NOT coalesce('security_invoker=true' = ANY (reloptions), false)
          AND relname <> 'rollup' -- which days were summed, of all tenants alike
          AND has_any_column_privilege($1, oid, 'SELECT, INSERT, UPDATE')
          AND NOT EXISTS (SELECT FROM pg_policy WHERE polrelid = pg_class.oid AND NOT polpermissive)
        """,
        ROLE,
    )
    assert not unheld
    weak = await database.fetchrow("SELECT rolsuper, rolbypassrls, rolcanlogin FROM pg_roles WHERE rolname = $1", ROLE)
    assert weak is not None
    assert not any(weak)
    assert not await database.fetchval("SELECT count(*) FROM pg_class WHERE relowner = to_regrole($1)", ROLE)


@pytest.mark.parametrize("room", CONFINED_ROOMS)
def test_what_a_room_asks_for_a_tenant_is_asked_as_the_tenant(room: str) -> None:
    """A method that is told the tenant, or the reader, speaks to the database as no other."""
    tree = ast.parse((Path(trunkline_server.store.__file__).parent / f"{room}.py").read_text("utf-8"))
    methods = [method for method in _for_tenants(tree) if f"{room}.{method.name}" not in ALL_SEEING]
    asked = [word for method in methods for word in re.findall(r"_database\.(\w+)", ast.unparse(method))]
    assert asked
    assert set(asked) == {"of"}


def _for_tenants(tree: ast.AST) -> Iterator[ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.AsyncFunctionDef) and {"tenant_id", "reader"} & {each.arg for each in node.args.args}:
            yield node


async def test_who_may_not_make_the_role_is_told_and_an_older_embedded_database_gets_it(
    own_postgres: EmbeddedPostgres,
) -> None:
    admin = await asyncpg.connect(own_postgres.cluster.url("postgres"))
    try:
        await admin.execute(f"DROP OWNED BY {ROLE}; DROP ROLE {ROLE}")
        await admin.execute("CREATE DATABASE empty OWNER trunkline")
        with pytest.raises(MigrationError, match="GRANT trunkline_tenant TO trunkline"):
            await migrate(own_postgres.cluster.url(database="empty"))
        second = await EmbeddedPostgres.start(own_postgres.cluster.home)
        await second.stop()
        assert await admin.fetchval("SELECT pg_has_role('trunkline', 'trunkline_tenant', 'SET')")
    finally:
        await admin.close()
