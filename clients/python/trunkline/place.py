"""Where a stream is, so that it can go on there when its connection breaks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from trunkline.errors import TrunklineError
from trunkline.v1 import chat_pb2

BREAKS_MAX: Final = 3
"""So often in a row a connection may break without an event that came."""


@dataclass
class Place:
    """`token` is empty in a stream that cannot go on."""

    token: str = ""
    breaks: int = 0

    def heard(self, event: chat_pb2.ChatEvent) -> None:
        self.token, self.breaks = event.resume_token, 0

    def broken(self, error: TrunklineError) -> None:
        """Raises the error where it is the gateway's own word, or no use trying again."""
        self.breaks += 1
        if error.reason or not self.token or self.breaks > BREAKS_MAX:
            raise error
