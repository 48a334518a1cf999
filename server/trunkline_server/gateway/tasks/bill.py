"""The bill of a task: every call to a model that it made, those that failed too."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import reduce

from trunkline.v1 import chat_pb2, tasks_pb2, usage_pb2
from trunkline_server.core import money
from trunkline_server.core.call import Call
from trunkline_server.core.errors import TrunklineError
from trunkline_server.core.money import from_decimal_text
from trunkline_server.core.usage import added
from trunkline_server.gateway.chat_run import ChatRun
from trunkline_server.gateway.errand_run import receipt_of
from trunkline_server.gateway.settlement import CHARGE_TRAILER


@dataclass(slots=True)
class TaskBill:
    """What the calls of one task came to. `charge_nanos` counts failed calls in."""

    charge_nanos: int = 0
    runs: list[ChatRun] = field(default_factory=list)

    def charge(self, call: Call, inner: Call) -> None:
        """A call to a model has ended, in whichever way; the task's own call tells of it."""
        self.charge_nanos += from_decimal_text(inner.trailers.get(CHARGE_TRAILER, "0"))
        call.trailers.update(inner.trailers)
        call.trailers[CHARGE_TRAILER] = money.to_decimal_text(self.charge_nanos)
        call.facts.update(inner.facts)
        call.facts["charge"] = self.charge_nanos

    def left_nanos(self, max_nanos: int) -> int:
        """What may still be spent."""
        return max(max_nanos - self.charge_nanos, 0)

    def blame(self, error: TrunklineError) -> TrunklineError:
        """The error of one call, told as the task's: with what all calls cost."""
        if error.partial is not None:
            error.partial.charge.CopyFrom(money.credits(self.charge_nanos))
        return error

    def write(self, receipt: tasks_pb2.TaskReceipt) -> None:
        receipt.calls.extend(receipt_of(run, run.answer.model, run.answer.response_id) for run in self.runs)
        receipt.usage.CopyFrom(reduce(added, (run.usage for run in self.runs), usage_pb2.Usage()))
        receipt.cost.CopyFrom(money.usd(sum(run.bill.cost_nano_usd for run in self.runs)))
        receipt.charge.CopyFrom(money.credits(self.charge_nanos))
        receipt.from_cache = all(run.cache_status == chat_pb2.CACHE_STATUS_HIT for run in self.runs)
