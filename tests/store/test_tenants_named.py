"""Every statement about rows of tenants says whose they are; the others are here, with what keeps tenants apart."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import trunkline_server.store
from trunkline_server.store import queries
from trunkline_server.store.database import Database

FOUND_BEFORE: Final = (
    "collections.want_sweep conversation_messages.append conversations.give_title conversations.release "
    "conversations.renew conversations.sum_up files.discard files.finish files.intend files.place jobs.ahead "
    "jobs.call_back jobs.idle jobs.take_place mcp_servers.touch prompts.set_default vector_stores.forget "
    "vector_stores.keep"
)
"""By an id that was found for the tenant by a statement before, or that is a lease nobody else has."""
OF_WORK: Final = (
    "batches.spend batches.stop_running fine_tunes.end fine_tunes.note operations.forget operations.intend "
    "operations.keep posting.transfer"
)
"""By the id of a job, a batch or a hold that the work itself carries; functions of the ledger look at its tenant."""
OF_ALL: Final = (
    "backlog.count batches.purge browser_tokens.purge budgets.forget collections.due conversations.due "
    "conversations.remove files.expire files.forget_files files.gone_copies files.gone_pieces jobs.purge "
    "jobs.ready_queues keys.note_use ledger.due outbox.purge reconciliation.collect reconciliation.collect_all "
    "reconciliation.drift reconciliation.hold_charge reconciliation.mark reconciliation.touch reconciliation.touch_all "
    "reconciliation.unposted reconciliation.usage repricing.first search_stores.forget search_stores.gone "
    "search_stores.retire similar_answers.forget upkeep.purge webhook_deliveries.purge wishes.purge"
)
"""Chores and the audit of the books, which nobody outside asks for."""
TELLS_WHOSE: Final = "keys.find tenants.find_named"
"""Says which tenant it is."""
UNNAMED: Final = frozenset(f"{FOUND_BEFORE} {OF_WORK} {OF_ALL} {TELLS_WHOSE}".split())

WHOSE: Final = re.compile(r"\btenant_id\b|\bconversation_is_open\(")
REMARK: Final = re.compile(r"--[^\n]*")


def statements() -> Iterator[tuple[str, str]]:
    """All of them, by file and name, without remarks."""
    for path in sorted(Path(trunkline_server.store.__file__).parent.glob("*.sql")):
        for name, text in queries.parse(path.read_text("utf-8"), path.name).items():
            yield f"{path.stem}.{name}", REMARK.sub("", text)


async def test_every_statement_says_whose_rows_it_means(database: Database) -> None:
    of_tenants = await database.fetch(
        """
        SELECT relname FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
          AND attname = 'tenant_id'
        """
    )
    used = re.compile(rf"\b(?:FROM|JOIN|UPDATE|INTO)\s+(?:{'|'.join(row[0] for row in of_tenants)})\b")
    unnamed = {name for name, text in statements() if used.search(text) and not WHOSE.search(text)}
    assert unnamed == UNNAMED
