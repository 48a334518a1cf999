"""The chores of the ledger: credits that are over, holds of long ago, and the proof that the books add up.

An audit that finds something is an error in the log, `ledger.audit`, an event, and stands in the table `ledger_audit`.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Final

from trunkline_server.store.database import Database
from trunkline_server.store.reconciliation import examine_if_due, tell
from trunkline_server.store.upkeep import Upkeep
from trunkline_server.worker.chores import Chore, in_parts

_log = logging.getLogger(__name__)

AUDIT_EVERY_S: Final = 60
FINDINGS_TOLD: Final = 10


def bookkeeping(database: Database, hold_retention_days: int) -> list[Chore]:
    """What one replica does for all of them."""
    upkeep = Upkeep(database, timedelta(days=hold_retention_days))
    return [
        Chore("lapse_credits", 30, in_parts(upkeep.lapse_credits)),
        Chore("purge_holds", 600, in_parts(upkeep.purge_holds)),
        Chore("audit", AUDIT_EVERY_S, lambda: audit(database)),
    ]


async def audit(database: Database, every: timedelta = timedelta(seconds=AUDIT_EVERY_S / 2)) -> None:
    """Looks at what is new, unless another replica just has."""
    found = await examine_if_due(database, every)
    told = found.findings[:FINDINGS_TOLD] if found else []
    for finding in told:
        _log.error("ledger.audit rule=%s subject=%s detail=%s", finding.rule, finding.subject, finding.detail)
    if told:
        await tell(database, told)
