"""PromptService: prompts under a name, in versions."""

from __future__ import annotations

from dataclasses import dataclass

from trunkline.v1 import prompts_pb2
from trunkline_server.core import ids, prompt, question
from trunkline_server.core.address import EgressPolicy
from trunkline_server.core.call import Call
from trunkline_server.core.errors import invalid
from trunkline_server.core.moment import timestamp
from trunkline_server.core.page_token import PageTokens
from trunkline_server.core.text import readable
from trunkline_server.store.prompts import Prompt, Prompts

Drafted = prompts_pb2.CreatePromptRequest | prompts_pb2.CreatePromptVersionRequest


@dataclass(frozen=True)
class PromptService:
    """The tenant's prompts, whoever of its users asks."""

    prompts: Prompts
    tokens: PageTokens
    policy: EgressPolicy

    async def create_prompt(
        self, call: Call, request: prompts_pb2.CreatePromptRequest
    ) -> prompts_pb2.CreatePromptResponse:
        if ids.parse("prompt", request.name) is not None:
            raise invalid("name", "must not look like the id of a prompt")
        body = self._body(call, request)
        description = readable("description", request.description)
        made, version = await self.prompts.create(call.caller.tenant_id, request.name, description, body)
        return prompts_pb2.CreatePromptResponse(prompt=_prompt(made), version=version)

    async def get_prompt(self, call: Call, request: prompts_pb2.GetPromptRequest) -> prompts_pb2.GetPromptResponse:
        found = await self._find(call, request.prompt)
        version = await self.prompts.version(found, request.version)
        return prompts_pb2.GetPromptResponse(prompt=_prompt(found), version=version)

    async def list_prompts(
        self, call: Call, request: prompts_pb2.ListPromptsRequest
    ) -> prompts_pb2.ListPromptsResponse:
        paging = self.tokens.paging(call.caller.tenant_id, request)
        after = paging.behind
        rows = await self.prompts.page(call.caller.tenant_id, after, paging.limit)
        page, token = paging.cut(rows, lambda row: (row.name,))
        return prompts_pb2.ListPromptsResponse(prompts=map(_prompt, page), next_page_token=token)

    async def delete_prompt(
        self, call: Call, request: prompts_pb2.DeletePromptRequest
    ) -> prompts_pb2.DeletePromptResponse:
        await self.prompts.delete(call.caller.tenant_id, readable("prompt", request.prompt))
        return prompts_pb2.DeletePromptResponse()

    async def create_prompt_version(
        self, call: Call, request: prompts_pb2.CreatePromptVersionRequest
    ) -> prompts_pb2.CreatePromptVersionResponse:
        body = self._body(call, request)
        name = readable("prompt", request.prompt)
        version = await self.prompts.add_version(call.caller.tenant_id, name, body, make_default=request.make_default)
        return prompts_pb2.CreatePromptVersionResponse(version=version)

    async def list_prompt_versions(
        self, call: Call, request: prompts_pb2.ListPromptVersionsRequest
    ) -> prompts_pb2.ListPromptVersionsResponse:
        found = await self._find(call, request.prompt)
        paging = self.tokens.paging(call.caller.tenant_id, request, found.prompt_id)
        before = paging.behind
        rows = await self.prompts.versions(found, before, paging.limit)
        page, token = paging.cut(rows, lambda row: (row.version,))
        return prompts_pb2.ListPromptVersionsResponse(versions=page, next_page_token=token)

    async def set_default_version(
        self, call: Call, request: prompts_pb2.SetDefaultVersionRequest
    ) -> prompts_pb2.SetDefaultVersionResponse:
        found = await self._find(call, request.prompt)
        changed = await self.prompts.set_default(found, request.version)
        return prompts_pb2.SetDefaultVersionResponse(prompt=_prompt(changed))

    async def render_prompt(
        self, call: Call, request: prompts_pb2.RenderPromptRequest
    ) -> prompts_pb2.RenderPromptResponse:
        found = await self._find(call, request.prompt)
        version = await self.prompts.version(found, request.version)
        messages = prompt.render(version, request.variables, "variables")
        return prompts_pb2.RenderPromptResponse(messages=messages, version=version.version)

    async def _find(self, call: Call, name: str) -> Prompt:
        return await self.prompts.find(call.caller.tenant_id, readable("prompt", name))

    def _body(self, call: Call, request: Drafted) -> prompts_pb2.PromptVersion:
        """What no call could send is not kept either."""
        question.check_messages(request.messages, (), self.policy)
        body = prompts_pb2.PromptVersion(messages=request.messages, created_by=call.caller.principal)
        body.note = readable("note", request.note)
        body.variables.extend(prompt.variables_of(body.messages, request.variables))
        return body


def _prompt(row: Prompt) -> prompts_pb2.Prompt:
    return prompts_pb2.Prompt(
        prompt_id=ids.spell("prompt", row.prompt_id),
        name=row.name,
        description=row.description,
        default_version=row.default_version,
        latest_version=row.latest_version,
        create_time=timestamp(row.create_time),
    )
