"""What items of a provider's own batch can be: chat calls, and texts to be embedded. Each is spelled and read as if it
had been asked alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from trunkline.v1 import chat_pb2, embeddings_pb2, jobs_pb2
from trunkline_server.core import errand_rules, question
from trunkline_server.core.address import EgressPolicy
from trunkline_server.core.errors import Reason, TrunklineError, invalid
from trunkline_server.core.operation import Operation
from trunkline_server.gateway.chat_run import ChatRun
from trunkline_server.gateway.chat_work import ChatWork
from trunkline_server.gateway.errand_run import ErrandRun
from trunkline_server.gateway.errand_work import ErrandWork
from trunkline_server.gateway.routes import Route
from trunkline_server.gateway.run import Run
from trunkline_server.gateway.tools.toolbox import has_rounds
from trunkline_server.gateway.work import Work
from trunkline_server.wire.bulk import Entry
from trunkline_server.wire.craft import Craft
from trunkline_server.wire.http import HttpRequest

JSON: Final = "application/json"
RunT = TypeVar("RunT", bound=Run[Any])
_Embedding = ErrandRun[embeddings_pb2.EmbedInput, embeddings_pb2.EmbedResponse]


class BulkForm(ABC, Generic[RunT]):
    """One kind of work."""

    operation: Operation

    @abstractmethod
    def check(self, spec: jobs_pb2.JobSpec, policy: EgressPolicy) -> None:
        """Raises what the call itself would, and CAPABILITY_UNSUPPORTED."""

    @abstractmethod
    def input(self, spec: jobs_pb2.JobSpec) -> Any:
        """What is asked for."""

    @abstractmethod
    def work(self, input: Any) -> Work[Any, RunT]:
        """It as work."""

    @abstractmethod
    def request(self, route: Route, errand: Any) -> HttpRequest:
        """The request that would ask it alone. Raises what it cannot be spelled for."""

    @abstractmethod
    def read(self, run: RunT, entry: Entry) -> None:
        """The answer, into the run. Raises UpstreamFailure, and what makes it unfit."""

    @abstractmethod
    def write(self, run: RunT, result: jobs_pb2.JobResult) -> None:
        """What came of it."""


@dataclass(frozen=True)
class ChatForm(BulkForm[ChatRun]):
    """Chat calls in which the gateway runs no tools: there would be nobody to."""

    operation = Operation.CHAT

    def check(self, spec: jobs_pb2.JobSpec, policy: EgressPolicy) -> None:
        question.check(spec.chat, policy)
        if has_rounds(spec.chat):
            message = "providers' own batches are not for calls in which the gateway runs tools"
            raise TrunklineError(Reason.CAPABILITY_UNSUPPORTED, message)

    def input(self, spec: jobs_pb2.JobSpec) -> chat_pb2.ChatInput:
        return spec.chat

    def work(self, input: chat_pb2.ChatInput) -> ChatWork:
        return ChatWork(input)

    def request(self, route: Route, errand: Any) -> HttpRequest:
        return route.upstream.wire.encode_chat(errand)

    def read(self, run: ChatRun, entry: Entry) -> None:
        decoder = run.route.upstream.wire.decode_chat(run.ask, run.answer, JSON)
        decoder.feed(entry.body)
        decoder.close()
        run.answered(run.began)
        run.check()

    def write(self, run: ChatRun, result: jobs_pb2.JobResult) -> None:
        run.write(result.completion)


@dataclass(frozen=True)
class EmbedForm(BulkForm[_Embedding]):
    """Texts that go into one request."""

    operation = Operation.EMBED

    def check(self, spec: jobs_pb2.JobSpec, policy: EgressPolicy) -> None:
        errand_rules.check(spec.embed, policy)

    def input(self, spec: jobs_pb2.JobSpec) -> embeddings_pb2.EmbedInput:
        return spec.embed

    def work(self, input: embeddings_pb2.EmbedInput) -> Work[Any, _Embedding]:
        return ErrandWork(input, kind=Operation.EMBED)

    def request(self, route: Route, errand: Any) -> HttpRequest:
        craft = _craft(route)
        if len(craft.split(errand)) > 1:
            raise invalid("spec.embed.texts", "are too many for one request of the provider: make several items")
        return craft.encode(errand)

    def read(self, run: _Embedding, entry: Entry) -> None:
        craft, run.pieces = _craft(run.route), (run.errand,)
        run.products.append(craft.decode(run.errand, {}, entry.body))
        run.whole = craft.join(run.errand, run.products)
        run.answered(run.began)

    def write(self, run: _Embedding, result: jobs_pb2.JobResult) -> None:
        result.embed.MergeFrom(run.product.body)
        result.embed.receipt.CopyFrom(run.receipt())


FORMS: Final[Mapping[str, BulkForm[Any]]] = {"chat": ChatForm(), "embed": EmbedForm()}
"""By the name of the field in `JobSpec`."""


def form_of(spec: jobs_pb2.JobSpec) -> BulkForm[Any]:
    """Raises CAPABILITY_UNSUPPORTED."""
    form = FORMS.get(spec.WhichOneof("work") or "")
    if form is None:
        message = "providers' own batches take chat calls and embeddings only"
        raise invalid("spec", message, Reason.CAPABILITY_UNSUPPORTED)
    return form


def _craft(route: Route) -> Craft[embeddings_pb2.EmbedInput, embeddings_pb2.EmbedResponse]:
    craft: Any = route.upstream.provider.crafts[Operation.EMBED]
    found: Craft[embeddings_pb2.EmbedInput, embeddings_pb2.EmbedResponse] = craft
    return found
