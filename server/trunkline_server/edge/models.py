"""`/v1/models`, of OpenAI's API and of Anthropic's: every model that the caller can call, by its full name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import orjson
from google.protobuf.message import Message

from trunkline.v1 import models_pb2
from trunkline_server.core.errors import TrunklineError
from trunkline_server.door.boundary import Procedure, Visit
from trunkline_server.edge.anthropic import errors as anthropic
from trunkline_server.edge.calls import Calls, Spelling
from trunkline_server.edge.exchange import Exchange, Reply
from trunkline_server.edge.openai import errors as openai
from trunkline_server.edge.router import JSON, Route

LIST: Final = "/trunkline.v1.ModelService/ListModels"
GET: Final = "/trunkline.v1.ModelService/GetModel"
_PATH: Final = "/v1/models"
_PAGE_MODELS: Final = 1000


@dataclass(frozen=True, slots=True)
class ModelsDoor:
    """One list for the clients of both."""

    calls: Calls

    def routes(self) -> list[Route]:
        return [Route("GET", _PATH, self.list_models), Route("GET", f"{_PATH}/*", self.get_model)]

    async def list_models(self, exchange: Exchange) -> None:
        await self.calls.serve(exchange, LIST, ListModels(exchange))

    async def get_model(self, exchange: Exchange) -> None:
        await self.calls.serve(exchange, GET, GetModel(exchange))


class ListModels(Spelling):
    """The first thousand; the names of all are in `ModelService`."""

    def __init__(self, exchange: Exchange) -> None:
        self._refuse = anthropic.refuse if exchange.header("anthropic-version") else openai.refuse

    async def read(self, visit: Visit, body: bytes) -> tuple[Procedure, Message]:
        return visit.procedure, models_pb2.ListModelsRequest(page_size=_PAGE_MODELS)

    def write(self, visit: Visit, response: Any) -> Reply:
        models = [_model(model) for model in response.models]
        ends = {"first_id": models[0]["id"], "last_id": models[-1]["id"]} if models else {}
        told = {"object": "list", "data": models, "has_more": False, **ends}
        return Reply(200, (*JSON, *visit.trailers), orjson.dumps(told))

    def refuse(self, visit: Visit, error: TrunklineError) -> Reply:
        return self._refuse(visit, error)


class GetModel(ListModels):
    """One of them."""

    def __init__(self, exchange: Exchange) -> None:
        super().__init__(exchange)
        self._name = exchange.path.removeprefix(f"{_PATH}/")

    async def read(self, visit: Visit, body: bytes) -> tuple[Procedure, Message]:
        return visit.procedure, models_pb2.GetModelRequest(name=self._name)

    def write(self, visit: Visit, response: Any) -> Reply:
        return Reply(200, (*JSON, *visit.trailers), orjson.dumps(_model(response.model)))


def _model(model: models_pb2.Model) -> dict[str, Any]:
    """Fields of both OpenAI's and Anthropic's lists; when a model was made is not known."""
    return {
        "id": model.name,
        "object": "model",
        "created": 0,
        "owned_by": model.provider,
        "type": "model",
        "display_name": model.display_name or model.name,
        "created_at": "1970-01-01T00:00:00Z",
    }
