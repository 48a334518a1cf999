"""What a gateway refused, in one line: the reason, the message, the fields that are wrong, and when to try again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2

from trunkline.v1 import errors_pb2
from trunkline_server.cli.failure import Failure
from trunkline_server.core.money import to_decimal_text

DETAILS_KEY: Final = "grpc-status-details-bin"
_HINTS: Final[Mapping[str, str]] = {
    "AUTH_MISSING": "give --key, set TRUNKLINE_API_KEY, or set TRUNKLINE_DATA_DIR to where the gateway keeps admin.key"
}
_NEXT: Final[Mapping[str, str]] = {
    "AUTH_INVALID": "is --key, or TRUNKLINE_API_KEY, a key of this gateway?",
    "MODEL_NOT_FOUND": "see `trunkline models list`",
    "URL_NOT_ALLOWED": "it has to be public and https, unless `egress` in the gateway's settings allows it",
    "CREDIT_INSUFFICIENT": "see `trunkline credits grant --help`, or ask for a shorter answer",
    "ACCOUNT_SUSPENDED": "see `trunkline credits resume --help`",
    "PROVIDER_CREDENTIALS": "mend the key in the gateway's settings, then see `trunkline providers test`",
}

Detail = TypeVar("Detail", bound=Message)


def failure_of(error: grpc.RpcError, address: str) -> Failure:
    """The failure that ends the command."""
    code, words = error.code(), error.details()
    status = status_of(error)
    if status is not None:
        return Failure("; ".join(_told(status)))
    if code is grpc.StatusCode.UNAVAILABLE and "handshake" in (words or ""):
        return Failure(f"{address}: TLS was not agreed on; is --ca its authority, and does it want a --cert?")
    if code is grpc.StatusCode.UNAVAILABLE:
        return Failure(
            f"no gateway answers at {address}; start one with `trunkline serve`, or name another with --address"
        )
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return Failure(f"the gateway at {address} does not answer in time; is it overloaded, and is it a gateway?")
    return Failure(f"{address}: {code.name}: {words or 'the call failed'}")


def status_of(error: grpc.RpcError) -> status_pb2.Status | None:
    """What the gateway says; None where the words are not its own."""
    details = next((each.value for each in error.trailing_metadata() or () if each.key == DETAILS_KEY), None)
    try:
        return status_pb2.Status.FromString(details) if isinstance(details, bytes) else None
    except DecodeError:
        return None


def _told(status: status_pb2.Status) -> Iterator[str]:
    reason = next((info.reason for info in _details(status, error_details_pb2.ErrorInfo)), "")
    message = _HINTS.get(reason, status.message)
    yield f"{reason}: {message}" if reason else message
    yield from (fact for fact in _facts(status) if fact not in message)
    if reason in _NEXT:
        yield _NEXT[reason]


def _facts(status: status_pb2.Status) -> Iterator[str]:
    for bad in _details(status, error_details_pb2.BadRequest):
        yield from (f"{each.field}: {each.description}" for each in bad.field_violations)
    for quota in _details(status, error_details_pb2.QuotaFailure):
        yield from (f"{each.subject}: {each.description}" for each in quota.violations)
    for upstream in _details(status, errors_pb2.UpstreamFailures):
        yield from dict.fromkeys(map(_attempt, upstream.failures))
    for partial in _details(status, errors_pb2.PartialResult):
        yield f"{partial.completion_id} was charged {to_decimal_text(partial.charge.nanos)} credits"
    for retry in _details(status, error_details_pb2.RetryInfo):
        yield f"try again in {retry.retry_delay.ToMilliseconds() / 1000:g} s"


def _attempt(failure: errors_pb2.UpstreamFailure) -> str:
    facts = (failure.kind, f"HTTP {failure.http_status}" if failure.http_status else "", failure.code)
    return f"{failure.provider}/{failure.model} failed ({', '.join(filter(None, facts))})"


def _details(status: status_pb2.Status, kind: type[Detail]) -> Iterator[Detail]:
    for packed in status.details:
        if packed.Is(kind.DESCRIPTOR):
            detail = kind()
            packed.Unpack(detail)
            yield detail
