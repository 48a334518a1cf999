"""The bills of one call that has several things made: each has its own, and the caller is told what they come to."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from trunkline.v1 import receipt_pb2
from trunkline_server.core import money
from trunkline_server.core.call import Call
from trunkline_server.core.errand import InputT
from trunkline_server.core.operation import Operation
from trunkline_server.gateway.errands import Errands
from trunkline_server.gateway.settlement import CHARGE_TRAILER


@dataclass
class Bills:
    """Of one call."""

    errands: Errands
    call: Call
    receipts: list[receipt_pb2.Receipt] = field(default_factory=list)

    async def make(self, operation: Operation, input: InputT) -> Any:
        """What came of it: the message of its kind. Raises what the work can."""
        inner = replace(self.call, trailers={}, facts={})
        try:
            run = await self.errands.do(inner, operation, input)
        finally:
            self._add(inner)
        self.receipts.append(run.receipt())
        return run.product.body

    def _add(self, inner: Call) -> None:
        trailers = self.call.trailers
        before, now = (money.from_decimal_text(each.get(CHARGE_TRAILER, "0")) for each in (trailers, inner.trailers))
        trailers.update(inner.trailers)
        trailers[CHARGE_TRAILER] = money.to_decimal_text(before + now)
        self.call.facts.update(inner.facts)
