"""The prompts of tasks: those that ship with the gateway, and a tenant's own in their place."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Final, NamedTuple
from uuid import UUID

from trunkline.v1 import chat_pb2, content_pb2, prompts_pb2
from trunkline_server.core import ids, prompt
from trunkline_server.core.errors import Reason, TrunklineError
from trunkline_server.store.prompts import Prompts

FOLDER: Final = "tasks"
_ROLES: Final = {"system": content_pb2.ROLE_SYSTEM, "user": content_pb2.ROLE_USER}


class TaskPrompt(NamedTuple):
    """A version, and what is told of it."""

    version: prompts_pb2.PromptVersion
    use: chat_pb2.PromptUse

    def render(self, words: Mapping[str, str]) -> list[content_pb2.Message]:
        """The messages. A prompt need not use every word; one that it wants and nobody has is VALIDATION."""
        wanted = {variable.name for variable in self.version.variables}
        given = {name: word for name, word in words.items() if name in wanted}
        return prompt.render(self.version, given, f"prompt {self.use.name!r}")


@dataclass(frozen=True)
class TaskPrompts:
    """`shipped` by name, such as `tasks/classify`."""

    own: Prompts
    shipped: Mapping[str, prompts_pb2.PromptVersion]

    async def find(self, tenant_id: UUID, task: str) -> TaskPrompt:
        """The tenant's own, in its default version; else the one that ships."""
        name = f"{FOLDER}/{task}"
        try:
            found = await self.own.find(tenant_id, name)
        except TrunklineError as error:
            if error.reason is not Reason.RESOURCE_NOT_FOUND:
                raise
            return TaskPrompt(self.shipped[name], chat_pb2.PromptUse(name=name))
        version = await self.own.version(found, 0)
        spelled_id = ids.spell("prompt", found.prompt_id)
        return TaskPrompt(version, chat_pb2.PromptUse(prompt_id=spelled_id, name=name, version=version.version))


def shipped_prompts() -> dict[str, prompts_pb2.PromptVersion]:
    """Those of `data/tasks.toml`."""
    text = files("trunkline_server").joinpath("data", "tasks.toml").read_text("utf-8")
    return {f"{FOLDER}/{name}": _version(parts) for name, parts in tomllib.loads(text).items()}


def _version(parts: Mapping[str, str]) -> prompts_pb2.PromptVersion:
    version = prompts_pb2.PromptVersion()
    for role, text in parts.items():
        version.messages.add(role=_ROLES[role]).parts.add().text.text = text.strip()
    version.variables.extend(prompt.variables_of(version.messages, ()))
    return version
