"""Puts prompts and assistants into the calls that name them."""

from __future__ import annotations

from dataclasses import dataclass

from trunkline.v1 import chat_pb2, content_pb2
from trunkline_server.core import ids, persona, prompt
from trunkline_server.core.call import Call
from trunkline_server.core.question import check_name
from trunkline_server.store.assistants import Assistants
from trunkline_server.store.prompts import Prompts


@dataclass(frozen=True)
class Cast:
    """What the tenant keeps under names."""

    prompts: Prompts
    assistants: Assistants

    async def fill(self, call: Call, input: chat_pb2.ChatInput) -> chat_pb2.PromptUse | None:
        """Fills the call in, in place, and says which prompt it used. Raises RESOURCE_NOT_FOUND,
        PROMPT_VERSION_NOT_FOUND, VALIDATION."""
        use = await self._fill_prompt(call, input) if input.HasField("prompt") else None
        if input.assistant_id:
            await self._fill_assistant(call, input)
        return use

    async def _fill_prompt(self, call: Call, input: chat_pb2.ChatInput) -> chat_pb2.PromptUse:
        """Its messages before the call's own."""
        asked = input.prompt
        check_name(asked.prompt, "input.prompt.prompt")
        found = await self.prompts.find(call.caller.tenant_id, asked.prompt)
        version = await self.prompts.version(found, asked.version)
        messages = prompt.render(version, asked.variables, "input.prompt.variables")
        messages.extend(input.messages)
        input.ClearField("prompt")
        _replace_messages(input, messages)
        prompt_id = ids.spell("prompt", found.prompt_id)
        call.template = f"{prompt_id}/{version.version}"
        return chat_pb2.PromptUse(prompt_id=prompt_id, name=found.name, version=version.version)

    async def _fill_assistant(self, call: Call, input: chat_pb2.ChatInput) -> None:
        check_name(input.assistant_id, "input.assistant_id")
        found = await self.assistants.find(call.caller.tenant_id, input.assistant_id)
        input.ClearField("assistant_id")
        persona.lend(found.persona, input)
        if found.persona.instructions:
            _replace_messages(input, [persona.instruction(found.persona.instructions), *input.messages])


def _replace_messages(input: chat_pb2.ChatInput, messages: list[content_pb2.Message]) -> None:
    whole = chat_pb2.ChatInput(messages=messages)
    input.ClearField("messages")
    input.messages.extend(whole.messages)
