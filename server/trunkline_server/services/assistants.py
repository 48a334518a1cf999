"""AssistantService: personas under a name."""

from __future__ import annotations

from dataclasses import dataclass

from trunkline.v1 import assistants_pb2, chat_pb2
from trunkline_server.core import ids, question
from trunkline_server.core.call import Call
from trunkline_server.core.errors import invalid
from trunkline_server.core.page_token import PageTokens
from trunkline_server.core.text import readable
from trunkline_server.store.assistants import Assistants


@dataclass(frozen=True)
class AssistantService:
    """The tenant's assistants, whoever of its users asks."""

    assistants: Assistants
    tokens: PageTokens

    async def create_assistant(
        self, call: Call, request: assistants_pb2.CreateAssistantRequest
    ) -> assistants_pb2.CreateAssistantResponse:
        made = await self.assistants.create(call.caller.tenant_id, _checked(request.persona))
        return assistants_pb2.CreateAssistantResponse(assistant=made)

    async def get_assistant(
        self, call: Call, request: assistants_pb2.GetAssistantRequest
    ) -> assistants_pb2.GetAssistantResponse:
        found = await self.assistants.find(call.caller.tenant_id, readable("assistant", request.assistant))
        return assistants_pb2.GetAssistantResponse(assistant=found)

    async def list_assistants(
        self, call: Call, request: assistants_pb2.ListAssistantsRequest
    ) -> assistants_pb2.ListAssistantsResponse:
        paging = self.tokens.paging(call.caller.tenant_id, request)
        after = paging.cursor[0] if paging.cursor else None
        rows = await self.assistants.page(call.caller.tenant_id, after, paging.limit)
        page, token = paging.cut(rows, lambda row: (row.persona.name,))
        return assistants_pb2.ListAssistantsResponse(assistants=page, next_page_token=token)

    async def update_assistant(
        self, call: Call, request: assistants_pb2.UpdateAssistantRequest
    ) -> assistants_pb2.UpdateAssistantResponse:
        name = readable("assistant", request.assistant)
        changed = await self.assistants.update(call.caller.tenant_id, name, _checked(request.persona))
        return assistants_pb2.UpdateAssistantResponse(assistant=changed)

    async def delete_assistant(
        self, call: Call, request: assistants_pb2.DeleteAssistantRequest
    ) -> assistants_pb2.DeleteAssistantResponse:
        await self.assistants.delete(call.caller.tenant_id, readable("assistant", request.assistant))
        return assistants_pb2.DeleteAssistantResponse()


def _checked(persona: assistants_pb2.Persona) -> assistants_pb2.Persona:
    """What a call with it would be refused for is refused now."""
    if ids.parse("asst", persona.name) is not None:
        raise invalid("persona.name", "must not look like the id of an assistant")
    readable("persona.description", persona.description)
    question.check_name(persona.instructions, "persona.instructions")
    brought = chat_pb2.ChatInput(tools=persona.tools)
    if persona.HasField("tool_choice"):
        brought.tool_choice.CopyFrom(persona.tool_choice)
    if persona.HasField("output_format"):
        brought.output_format.CopyFrom(persona.output_format)
    question.check_shape(brought, "persona")
    return persona
