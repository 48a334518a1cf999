"""Anthropic."""

from __future__ import annotations

from typing import Final

from trunkline_server.core import limit_headers
from trunkline_server.providers.provider import Provider, header
from trunkline_server.wire.anthropic import VERSION, Anthropic
from trunkline_server.wire.anthropic.bulk import AnthropicBulk

PROVIDER: Final = Provider(
    name="anthropic",
    base_url="https://api.anthropic.com",
    wire=Anthropic(),
    sign=header("x-api-key"),
    bulk=AnthropicBulk({"anthropic-version": VERSION}),
    limit_headers=limit_headers.ANTHROPIC,
)
