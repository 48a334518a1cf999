"""From a gRPC status to an exception: the one table, and the details that travel with a status."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeVar

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from trunkline import errors
from trunkline.v1 import errors_pb2

DETAILS_KEY: Final = "grpc-status-details-bin"

_BY_CODE: Final[Mapping[str, type[errors.TrunklineError]]] = {
    "INVALID_ARGUMENT": errors.InvalidRequest,
    "OUT_OF_RANGE": errors.InvalidRequest,
    "UNAUTHENTICATED": errors.NotAuthenticated,
    "PERMISSION_DENIED": errors.NotAllowed,
    "NOT_FOUND": errors.NotFound,
    "ALREADY_EXISTS": errors.AlreadyExists,
    "FAILED_PRECONDITION": errors.NotPossible,
    "RESOURCE_EXHAUSTED": errors.LimitReached,
    "ABORTED": errors.StillRunning,
    "UNAVAILABLE": errors.Unavailable,
    "DEADLINE_EXCEEDED": errors.TimedOut,
    "CANCELLED": errors.Cancelled,
}
_BY_REASON: Final[Mapping[str, type[errors.TrunklineError]]] = {
    "CREDIT_INSUFFICIENT": errors.CreditInsufficient,
    "STREAM_INTERRUPTED": errors.StreamInterrupted,
    "OUTPUT_INVALID": errors.OutputInvalid,
}
_CODES: Final[Mapping[int, str]] = {code.value[0]: code.name for code in grpc.StatusCode}

Detail = TypeVar("Detail", bound=Message)


def error_of(failure: grpc.RpcError) -> errors.TrunklineError:
    """What a stub raised, of either kind of channel."""
    told: Any = failure
    trailers = dict(told.trailing_metadata() or ())
    packed = trailers.get(DETAILS_KEY)
    if isinstance(packed, bytes):
        return error_in(status_pb2.Status.FromString(packed))
    return _made(str(told.details() or "the call failed"), errors.Facts(code=told.code().name))


def error_in(status: status_pb2.Status) -> errors.TrunklineError:
    """A status that stands in an answer: of a job, of one of many questions."""
    return _made(status.message, _facts(status))


def _made(message: str, facts: errors.Facts) -> errors.TrunklineError:
    kind = _BY_REASON.get(facts.reason) or _BY_CODE.get(facts.code, errors.GatewayFault)
    return kind(message, facts)


def _facts(status: status_pb2.Status) -> errors.Facts:
    info = _detail(status, error_details_pb2.ErrorInfo)
    retry = _detail(status, error_details_pb2.RetryInfo)
    named = _detail(status, error_details_pb2.RequestInfo)
    bad = _detail(status, error_details_pb2.BadRequest)
    upstream = _detail(status, errors_pb2.UpstreamFailures)
    return errors.Facts(
        reason=info.reason if info else "",
        code=_CODES.get(status.code, "UNKNOWN"),
        request_id=named.request_id if named else "",
        retry_after_s=retry.retry_delay.seconds + retry.retry_delay.nanos / 1e9 if retry else None,
        fields={each.field: each.description for each in bad.field_violations} if bad else {},
        metadata=dict(info.metadata) if info else {},
        partial=_detail(status, errors_pb2.PartialResult),
        attempts=tuple(upstream.failures) if upstream else (),
    )


def _detail(status: status_pb2.Status, kind: type[Detail]) -> Detail | None:
    for packed in status.details:
        if packed.Is(kind.DESCRIPTOR):
            detail = kind()
            packed.Unpack(detail)
            return detail
    return None
