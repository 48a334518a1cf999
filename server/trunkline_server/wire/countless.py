"""What a dialect without a way to count says where tokens are to be counted: it cannot."""

from __future__ import annotations

from trunkline_server.core.ask import Ask
from trunkline_server.core.failure import FailureKind, UpstreamFailure
from trunkline_server.wire.http import HttpRequest


class Countless:
    """The part of a wire that counts."""

    def encode_count(self, ask: Ask) -> HttpRequest | None:  # noqa: ARG002 - the dialect has no question for it
        return None

    def decode_count(self, body: bytes) -> int:  # noqa: ARG002 - never asked, so never answered
        raise UpstreamFailure(FailureKind.BROKEN)
