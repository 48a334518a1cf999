"""Cohere."""

from __future__ import annotations

from typing import Final

from trunkline_server.providers.provider import Provider
from trunkline_server.wire.cohere import Cohere

PROVIDER: Final = Provider(name="cohere", base_url="https://api.cohere.com", wire=Cohere())
