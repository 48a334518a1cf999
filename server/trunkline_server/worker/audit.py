"""Whether the books add up, looked at every day; what does not is an alarm in the log."""

from __future__ import annotations

import logging

from trunkline_server.store.ledger import Ledger

_log = logging.getLogger(__name__)


class BooksWrong(Exception):
    """Something does not add up."""


async def audit(ledger: Ledger) -> None:
    """Raises BooksWrong after it has said what is wrong."""
    findings = await ledger.audit()
    for finding in findings:
        _log.error("ledger.finding what=%r", finding)
    if findings:
        raise BooksWrong
