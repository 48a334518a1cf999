"""Stages of texts, one after the other."""

from __future__ import annotations

from dataclasses import dataclass

from trunkline_server.core.guard.screen import Stage


@dataclass(frozen=True, slots=True)
class Pipe:
    """What the first gives out goes into the second."""

    first: Stage
    second: Stage

    @property
    def blocked(self) -> bool:
        return self.first.blocked or self.second.blocked

    def feed(self, text: str) -> str:
        return self.second.feed(self.first.feed(text))

    def close(self) -> str:
        return self.second.feed(self.first.close()) + self.second.close()


def passed(stage: Stage, text: str) -> str:
    """A whole text through a stage of its own."""
    return stage.feed(text) + stage.close()
