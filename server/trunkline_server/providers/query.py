"""A way to a provider that wants something in the query of every request, such as a version of its API."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from urllib.parse import urlencode

from trunkline_server.providers.client import Response, Transport
from trunkline_server.wire.http import HttpRequest


class WithQuery:
    """Another transport, with `query` added to each path."""

    def __init__(self, transport: Transport, query: Mapping[str, str]) -> None:
        self._transport = transport
        self._query = urlencode(query)

    def open(self, request: HttpRequest) -> AbstractAsyncContextManager[Response]:
        joint = "&" if "?" in request.path else "?"
        return self._transport.open(replace(request, path=f"{request.path}{joint}{self._query}"))
