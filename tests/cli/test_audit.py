"""The audit from the console: what was done, and whether the log still says it."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Called
from trunkline_server.store.database import Database


async def test_what_operators_did(called: Called) -> None:
    await called("keys", "create", "robot", "--scope", "chat:write")
    title, *rows = (await called("audit", "list", "--action", "api_key")).stdout.splitlines()
    assert title.split() == ["PLACE", "WHEN", "WHO", "DID", "TO", "BY", "REQUEST"]
    assert " api_key.create " in rows[0]
    assert " AdminService/CreateApiKey " in rows[0]
    (newest,) = (await called("audit", "list", "--limit", "1", "--json")).stdout.splitlines()
    assert json.loads(newest)["action"] == "api_key.create"
    assert (await called("audit", "list", "--principal", "nobody")).stdout.splitlines()[1:] == []


async def test_the_log_is_proven(called: Called, database: Database, quiet_place: Path) -> None:
    first = await called("audit", "verify", "--json")
    kept = quiet_place / "head.json"
    kept.write_text(first.stdout)
    await called("keys", "create", "robot", "--scope", "chat:write")
    proven = await called("audit", "verify", "--kept", str(kept))
    assert (proven.exit_code, proven.stdout.split()[0]) == (0, "intact,")
    kept.write_text(first.stdout.replace("signature", "sealing"))
    assert (await called("audit", "verify", "--kept", str(kept))).exit_code == 2
    assert (await called("audit", "verify", "--kept", "nowhere")).exit_code == 2
    await database.execute("ALTER TABLE audit_entry DISABLE TRIGGER audit_stands")
    await database.execute("UPDATE audit_entry SET action = 'nothing' WHERE action = 'api_key.create'")
    broken = await called("audit", "verify")
    assert broken.exit_code == 1
    assert broken.stdout.startswith("BROKEN at entry ")
