"""Prompts that the gateway keeps under a name, in versions."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence

from trunkline import content
from trunkline.aio.connection import AsyncConnection
from trunkline.question import filled
from trunkline.v1 import content_pb2, prompts_pb2, prompts_pb2_grpc


class AsyncPrompts:
    """Used in a call by `prompt(name, **variables)`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self._stub = prompts_pb2_grpc.PromptServiceStub(connection.channel)

    async def create(
        self,
        name: str,
        *messages: content_pb2.Message | str,
        description: str = "",
        variables: Sequence[prompts_pb2.PromptVariable] = (),
    ) -> prompts_pb2.Prompt:
        """`{name}` stands for a variable. A text is what the user says."""
        request = prompts_pb2.CreatePromptRequest(
            name=name, description=description, messages=_messages(messages), variables=variables
        )
        return (await self._connection.look(self._stub.CreatePrompt, request)).prompt

    async def add_version(
        self,
        name: str,
        *messages: content_pb2.Message | str,
        note: str = "",
        make_default: bool = False,
        variables: Sequence[prompts_pb2.PromptVariable] = (),
    ) -> prompts_pb2.PromptVersion:
        """The next version."""
        request = prompts_pb2.CreatePromptVersionRequest(
            prompt=name, messages=_messages(messages), variables=variables, note=note, make_default=make_default
        )
        return (await self._connection.look(self._stub.CreatePromptVersion, request)).version

    async def get(self, name: str, *, version: int = 0) -> prompts_pb2.PromptVersion:
        """One version; the default where none is named."""
        request = prompts_pb2.GetPromptRequest(prompt=name, version=version)
        return (await self._connection.look(self._stub.GetPrompt, request)).version

    async def list(self) -> AsyncIterator[prompts_pb2.Prompt]:
        """By name."""
        async for page in self._connection.pages(self._stub.ListPrompts, prompts_pb2.ListPromptsRequest()):
            for prompt in page.prompts:
                yield prompt

    async def versions(self, name: str) -> AsyncIterator[prompts_pb2.PromptVersion]:
        """Newest first."""
        request = prompts_pb2.ListPromptVersionsRequest(prompt=name)
        async for page in self._connection.pages(self._stub.ListPromptVersions, request):
            for version in page.versions:
                yield version

    async def render(
        self, name: str, variables: Mapping[str, object] | None = None, /, *, version: int = 0, **more: object
    ) -> Sequence[content_pb2.Message]:
        """The messages that a call would send. Free."""
        given = filled({**(variables or {}), **more})
        request = prompts_pb2.RenderPromptRequest(prompt=name, version=version, variables=given)
        return (await self._connection.look(self._stub.RenderPrompt, request)).messages

    async def set_default(self, name: str, version: int) -> prompts_pb2.Prompt:
        request = prompts_pb2.SetDefaultVersionRequest(prompt=name, version=version)
        return (await self._connection.look(self._stub.SetDefaultVersion, request)).prompt

    async def delete(self, name: str) -> None:
        """With all its versions."""
        await self._connection.look(self._stub.DeletePrompt, prompts_pb2.DeletePromptRequest(prompt=name))


def _messages(messages: Sequence[content_pb2.Message | str]) -> list[content_pb2.Message]:
    return [content.user(each) if isinstance(each, str) else each for each in messages]
