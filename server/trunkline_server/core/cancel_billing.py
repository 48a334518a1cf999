"""What a provider bills of an answer that its caller left: a fact about the provider, kept as data."""

from __future__ import annotations

from enum import StrEnum


class CancelBilling(StrEnum):
    """How such an answer is charged.

    ESTIMATE  the provider stops, and bills what it has said: that is counted
    DRAIN     the provider goes on and bills it all: the gateway reads on, without the caller, to learn how much
    NO_BILL   the provider bills nothing
    """

    ESTIMATE = "estimate"
    DRAIN = "drain"
    NO_BILL = "no_bill"
