"""A question to a chat model as one provider gets it."""

from __future__ import annotations

from dataclasses import dataclass

from trunkline.v1 import chat_pb2
from trunkline_server.core.errand import Errand


@dataclass(slots=True)
class Ask(Errand[chat_pb2.ChatInput]):
    """`max_output_tokens` is the cap the provider must be told: the caller's own, or one that the dialect demands.

    `spoken` is for a wire that has several dialects: in which it has asked.
    """

    stream: bool = False
    max_output_tokens: int | None = None
    spoken: object = None

    def owns(self, provider: str, path: str) -> bool:
        """Whether `provider`'s state goes back to it; another's is left out, and said once for the whole call."""
        if provider != self.provider:
            self.drop_state(path)
        return provider == self.provider

    def drop_state(self, path: str) -> None:
        """State that the provider cannot take back is left out; said once, however many parts carry some."""
        code = chat_pb2.WARNING_CODE_PROVIDER_STATE_DROPPED
        if all(warning.code != code for warning in self.warnings):
            self.warn(code, path, "state of another provider was left out")
