from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any, NamedTuple

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from tests.cli.conftest import Typed
from trunkline.v1 import errors_pb2, usage_pb2
from trunkline_server.cli.refusal import failure_of


class Trailer(NamedTuple):
    key: str
    value: str | bytes


class Ended(grpc.RpcError):
    """How a call of the synchronous client ends: an error that is also the call."""

    def __init__(self, code: grpc.StatusCode, details: str = "", trailers: Sequence[Trailer] = ()) -> None:
        self._code, self._details, self._trailers = code, details, trailers

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return self._details

    def trailing_metadata(self) -> Any:
        return self._trailers


def _told(message: str, *details: Message) -> str:
    status = status_pb2.Status(code=3, message=message)
    for detail in details:
        status.details.add().Pack(detail)
    trailers = [Trailer("x-request-id", "r"), Trailer("grpc-status-details-bin", status.SerializeToString())]
    return failure_of(Ended(grpc.StatusCode.INVALID_ARGUMENT, message, trailers), "host:1").message


def _info(reason: str) -> error_details_pb2.ErrorInfo:
    return error_details_pb2.ErrorInfo(reason=reason, domain="trunkline")


def test_reason_message_and_when_to_try_again() -> None:
    retry = error_details_pb2.RetryInfo(retry_delay=Duration(seconds=1, nanos=500_000_000))
    assert _told("too many calls", _info("RATE_LIMITED"), retry) == "RATE_LIMITED: too many calls; try again in 1.5 s"


def test_fields_that_the_message_does_not_name() -> None:
    violations = [
        error_details_pb2.BadRequest.FieldViolation(field=field, description="is wrong") for field in ("a", "b.c")
    ]
    bad = error_details_pb2.BadRequest(field_violations=violations)
    assert _told("a: is wrong", _info("VALIDATION"), bad) == "VALIDATION: a: is wrong; b.c: is wrong"


def test_limits_attempts_and_what_was_charged() -> None:
    violation = error_details_pb2.QuotaFailure.Violation(subject="account", description="needs 5, has 1")
    failures = [errors_pb2.UpstreamFailure(provider="p", model="m", kind="TRANSIENT", http_status=500)] * 2
    told = _told(
        "no",
        _info("X"),
        error_details_pb2.QuotaFailure(violations=[violation]),
        errors_pb2.UpstreamFailures(failures=failures),
        errors_pb2.PartialResult(completion_id="cmpl_1", charge=usage_pb2.Amount(unit="CREDIT", nanos=10**8)),
    )
    assert told == "X: no; account: needs 5, has 1; p/m failed (TRANSIENT, HTTP 500); cmpl_1 was charged 0.1 credits"


def test_what_to_do_next() -> None:
    told = _told("model 'm' does not exist", _info("MODEL_NOT_FOUND"))
    assert told == "MODEL_NOT_FOUND: model 'm' does not exist; see `trunkline models list`"


def test_a_refusal_cannot_steer_the_terminal() -> None:
    assert _told("no\n\x1b[2J", _info("X")) == "X: no [2J"


def test_details_that_cannot_be_read() -> None:
    error = Ended(grpc.StatusCode.INTERNAL, "broken", [Trailer("grpc-status-details-bin", b"\xff\xff")])
    assert failure_of(error, "host:1").message == "host:1: INTERNAL: broken"


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (grpc.StatusCode.UNAVAILABLE, "no gateway answers at host:1; start one with `trunkline serve`"),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "the gateway at host:1 does not answer in time"),
        (grpc.StatusCode.UNIMPLEMENTED, "host:1: UNIMPLEMENTED: the call failed"),
    ],
)
def test_words_that_are_not_the_gateways(code: grpc.StatusCode, told: str) -> None:
    assert failure_of(Ended(code), "host:1").message.startswith(told)


def test_a_listener_that_is_no_gateway(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trunkline_server.cli.gateway.CALL_TIMEOUT_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        result = typed("models", "--address", address, "--key", "k")
    assert result.exit_code == 1
    assert address in result.stderr
    assert result.stderr.count("\n") == 1
