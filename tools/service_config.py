"""Writes gRPC's service config from the contract: what may be sent twice, how long it may take, where it goes.

Every client of ours carries it. Whatever the gateway tells by `grpc-retry-pushback-ms` comes before it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, Final

from google.protobuf.descriptor_pb2 import FileDescriptorSet, MethodDescriptorProto, MethodOptions

Method = dict[str, str]
READ_TIMEOUT: Final = "60s"
CALL_TIMEOUT: Final = "900s"
RETRY: Final = {
    "maxAttempts": 3,
    "initialBackoff": "0.1s",
    "maxBackoff": "1s",
    "backoffMultiplier": 2,
    "retryableStatusCodes": ["UNAVAILABLE"],
}


def service_config(contract: FileDescriptorSet) -> str:
    """As text, in gRPC's own form."""
    config = {
        "loadBalancingConfig": [{"round_robin": {}}],
        "healthCheckConfig": {"serviceName": "readiness"},
        "retryThrottling": {"maxTokens": 100, "tokenRatio": 0.1},
        "methodConfig": [entry for entry in _entries(contract) if entry["name"]],
    }
    return json.dumps(config, indent=2) + "\n"


def _entries(contract: FileDescriptorSet) -> Iterator[dict[str, Any]]:
    """One entry for each way to be called; what stays open is left to the server, whose longest call is 15 minutes."""
    yield {"name": _names(contract, _reads), "timeout": READ_TIMEOUT, "retryPolicy": RETRY}
    yield {"name": _names(contract, _repeats), "timeout": CALL_TIMEOUT, "retryPolicy": RETRY}
    yield {"name": _names(contract, _once), "timeout": CALL_TIMEOUT}


def _names(contract: FileDescriptorSet, fits: Callable[[MethodDescriptorProto], bool]) -> list[Method]:
    return [
        {"service": f"{file.package}.{service.name}", "method": method.name}
        for file in contract.file
        for service in file.service
        for method in service.method
        if fits(method)
    ]


def _reads(method: MethodDescriptorProto) -> bool:
    return _level(method) == MethodOptions.NO_SIDE_EFFECTS and not method.server_streaming


def _repeats(method: MethodDescriptorProto) -> bool:
    return _level(method) != MethodOptions.IDEMPOTENCY_UNKNOWN and not _reads(method)


def _once(method: MethodDescriptorProto) -> bool:
    return _level(method) == MethodOptions.IDEMPOTENCY_UNKNOWN


def _level(method: MethodDescriptorProto) -> MethodOptions.IdempotencyLevel.ValueType:
    return method.options.idempotency_level
