"""One channel to a gateway; calls over it, whose failures are told as `TrunklineError`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any, Protocol, Self, TypeVar

import grpc
from google.protobuf.message import Message

from trunkline.channels import SHORT_TIMEOUT_S, STREAM_TIMEOUT_S, UNARY_TIMEOUT_S, Access
from trunkline.refusals import error_of
from trunkline.work import named

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response")


class Page(Protocol):
    """An answer of any list."""

    next_page_token: str


PageT = TypeVar("PageT", bound=Page)


class Connection:
    """Opened by the first call, in whatever event loop that runs."""

    def __init__(self, access: Access) -> None:
        self.access = access

    @cached_property
    def channel(self) -> grpc.Channel:
        channel: grpc.Channel = self.access.signing(self._open())
        return channel

    def _open(self) -> grpc.Channel:
        given, options = self.access.credentials, self.access.options
        if given is None:
            return grpc.insecure_channel(self.access.address, options=options)
        return grpc.secure_channel(self.access.address, given, options=options)

    def close(self) -> None:
        if "channel" in self.__dict__:
            self.channel.close()
            del self.channel

    def call(
        self,
        method: grpc.UnaryUnaryMultiCallable[Request, Response],
        request: Request,
        *,
        user: str = "",
        request_id: str = "",
        timeout_s: float | None = None,
    ) -> Response:
        """One answer. Takes as long as an answer of a model may take, where nobody says otherwise."""
        allowed_s = timeout_s or self.access.timeout_s or UNARY_TIMEOUT_S
        try:
            return method(named(request, request_id), metadata=self.access.metadata(user), timeout=allowed_s)
        except grpc.RpcError as error:
            raise error_of(error) from None

    def look(
        self, method: grpc.UnaryUnaryMultiCallable[Request, Response], request: Request, *, user: str = ""
    ) -> Response:
        """One answer of the gateway's own, which takes no model."""
        return self.call(method, request, user=user, timeout_s=self.access.timeout_s or SHORT_TIMEOUT_S)

    def bring(
        self,
        method: grpc.StreamUnaryMultiCallable[Request, Response],
        requests: Iterator[Request],
        *,
        user: str = "",
        timeout_s: float | None = None,
    ) -> Response:
        """One answer to what is brought in pieces."""
        allowed_s = timeout_s or self.access.timeout_s or STREAM_TIMEOUT_S
        try:
            return method(requests, metadata=self.access.metadata(user), timeout=allowed_s)
        except grpc.RpcError as error:
            raise error_of(error) from None

    def stream(
        self,
        method: grpc.UnaryStreamMultiCallable[Request, Response],
        request: Request,
        *,
        user: str = "",
        request_id: str = "",
        timeout_s: float | None = None,
    ) -> Events[Response]:
        """Answers as they come."""
        allowed_s = timeout_s or self.access.timeout_s or STREAM_TIMEOUT_S
        call = method(named(request, request_id), metadata=self.access.metadata(user), timeout=allowed_s)
        return Events(call.__iter__(), call.cancel)

    def pages(
        self, method: grpc.UnaryUnaryMultiCallable[Request, PageT], request: Request, *, user: str = ""
    ) -> Iterator[PageT]:
        """Every page of a list."""
        while True:
            page = self.look(method, request, user=user)
            yield page
            if not page.next_page_token:
                return
            setattr(request, "page_token", page.next_page_token)  # noqa: B010 - every list has it, messages do not


class Events(Iterator[Response]):
    """A stream that can be left at any time."""

    def __init__(self, responses: Iterator[Response], stop: Callable[[], object]) -> None:
        self._responses = responses
        self._stop = stop

    def __next__(self) -> Response:
        try:
            return self._responses.__next__()
        except grpc.RpcError as error:
            raise error_of(error) from None

    def cancel(self) -> None:
        """Stops it at the gateway too; costs nothing once it has ended."""
        self._stop()


class Listening:
    """What comes as events of one call at a time. As a context manager it stops that call when you leave early."""

    def __init__(self) -> None:
        self._events: Events[Any] | None = None

    def cancel(self) -> None:
        """Stops the provider."""
        if self._events is not None:
            self._events.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cancel()
