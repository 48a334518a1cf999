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
from trunkline_server.store.files import Files


@dataclass(frozen=True)
class AssistantService:
    """The tenant's assistants, whoever of its users asks."""

    assistants: Assistants
    files: Files
    tokens: PageTokens

    async def create_assistant(
        self, call: Call, request: assistants_pb2.CreateAssistantRequest
    ) -> assistants_pb2.CreateAssistantResponse:
        persona = await self._checked(call, request.persona)
        made = await self.assistants.create(call.caller.tenant_id, persona)
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
        after = paging.behind
        rows = await self.assistants.page(call.caller.tenant_id, after, paging.limit)
        page, token = paging.cut(rows, lambda row: (row.persona.name,))
        return assistants_pb2.ListAssistantsResponse(assistants=page, next_page_token=token)

    async def update_assistant(
        self, call: Call, request: assistants_pb2.UpdateAssistantRequest
    ) -> assistants_pb2.UpdateAssistantResponse:
        name = readable("assistant", request.assistant)
        persona = await self._checked(call, request.persona)
        changed = await self.assistants.update(call.caller.tenant_id, name, persona)
        return assistants_pb2.UpdateAssistantResponse(assistant=changed)

    async def delete_assistant(
        self, call: Call, request: assistants_pb2.DeleteAssistantRequest
    ) -> assistants_pb2.DeleteAssistantResponse:
        await self.assistants.delete(call.caller.tenant_id, readable("assistant", request.assistant))
        return assistants_pb2.DeleteAssistantResponse()

    async def _checked(self, call: Call, persona: assistants_pb2.Persona) -> assistants_pb2.Persona:
        """What a call with it would be refused for is refused now."""
        _check(persona)
        for file_id in persona.file_ids:
            found = await self.files.find(call.caller.tenant_id, readable("persona.file_ids", file_id))
            if not found.is_ready:
                raise invalid("persona.file_ids", f"the file {file_id!r} is not complete")
        return persona


def _check(persona: assistants_pb2.Persona) -> None:
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
