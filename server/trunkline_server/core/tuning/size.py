"""How much there is to train, and what a training is billed by."""

from __future__ import annotations

from typing import Final

import msgspec

from trunkline.v1 import usage_pb2
from trunkline_server.core.pricing import Bill, Price, bill

TRAINING: Final = "training"
"""The unit of trained tokens in prices and on bills."""
OWN_VERSION: Final = "tuned/"
"""How the versions of prices begin that count for trained models and their training, and for nothing else."""
EPOCHS: Final = 3
EPOCHS_MAX: Final = 25
PASSES_MIN: Final = 100
PASSES_MAX: Final = 25_000


def epochs_for(example_count: int) -> int:
    """How often examples are gone through where nobody says: as often as makes a hundred passes, at most 25 times."""
    count = max(example_count, 1)
    if count * EPOCHS < PASSES_MIN:
        return min(EPOCHS_MAX, PASSES_MIN // count)
    return max(1, min(EPOCHS, PASSES_MAX // count))


def training_bill(price: Price | None, trained_tokens: int, credits_per_usd_nanos: int) -> Bill:
    """What so much training costs."""
    if price is None:
        return Bill(0, 0, "")
    return bill(price, training_usage(trained_tokens), credits_per_usd_nanos)


def training_usage(trained_tokens: int) -> usage_pb2.Usage:
    """Trained tokens as a usage."""
    return usage_pb2.Usage(unit_counts={TRAINING: trained_tokens}, source=usage_pb2.USAGE_SOURCE_PROVIDER)


def as_own(price: Price) -> Price:
    """A price under a version that says what it is for."""
    if price.version.startswith(OWN_VERSION):
        return price
    return msgspec.structs.replace(price, version=OWN_VERSION + price.version)
