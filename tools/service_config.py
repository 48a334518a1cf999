"""Writes gRPC's service config from the contract: methods that may be sent twice are tried again, all others never.

Every client of ours carries it. Whatever the gateway tells by `grpc-retry-pushback-ms` comes before it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from google.protobuf.descriptor_pb2 import FileDescriptorSet, MethodOptions

_REPEATABLE: Final = (MethodOptions.NO_SIDE_EFFECTS, MethodOptions.IDEMPOTENT)
_RETRY: Final = {
    "maxAttempts": 3,
    "initialBackoff": "0.1s",
    "maxBackoff": "1s",
    "backoffMultiplier": 2,
    "retryableStatusCodes": ["UNAVAILABLE"],
}


def service_config(contract: FileDescriptorSet) -> str:
    """As JSON text."""
    config: dict[str, Any] = {
        "loadBalancingConfig": [{"round_robin": {}}],
        "healthCheckConfig": {"serviceName": "readiness"},
        "retryThrottling": {"maxTokens": 100, "tokenRatio": 0.1},
        "methodConfig": [{"name": list(_repeatable(contract)), "retryPolicy": _RETRY}],
    }
    return json.dumps(config, indent=2) + "\n"


def _repeatable(contract: FileDescriptorSet) -> Iterator[dict[str, str]]:
    for file in contract.file:
        for service in file.service:
            for method in service.method:
                if method.options.idempotency_level in _REPEATABLE:
                    yield {"service": f"{file.package}.{service.name}", "method": method.name}
