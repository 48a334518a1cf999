"""One question as one provider gets it: what the caller said, the provider's name for the model, and what changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from trunkline.v1 import chat_pb2
from trunkline_server.core.errors import Reason, invalid


@dataclass(slots=True)
class Ask:
    """`max_output_tokens` is the cap the provider must be told: the caller's own, or one that the dialect demands."""

    provider: str
    model: str
    input: chat_pb2.ChatInput
    stream: bool
    max_output_tokens: int | None = None
    options: Mapping[str, object] = field(default_factory=dict)
    end_user: str = ""
    warnings: list[chat_pb2.Warning] = field(default_factory=list)

    def drop(self, path: str, description: str) -> None:
        """The provider cannot take this: refuse it if the caller is strict, else leave it out and say so."""
        if self.input.strict_parameters:
            raise invalid(f"input.{path}", description, Reason.PARAMETER_UNSUPPORTED)
        self.warn(chat_pb2.WARNING_CODE_PARAMETER_DROPPED, path, description)

    def adjust(self, path: str, description: str) -> None:
        """The value was moved to one that the provider takes."""
        if self.input.strict_parameters:
            raise invalid(f"input.{path}", description, Reason.PARAMETER_UNSUPPORTED)
        self.warn(chat_pb2.WARNING_CODE_PARAMETER_ADJUSTED, path, description)

    def warn(self, code: chat_pb2.WarningCode.ValueType, path: str, description: str) -> None:
        self.warnings.append(chat_pb2.Warning(code=code, field=f"input.{path}" if path else "", message=description))

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
