"""What clients are told: every method once, repeated only where the contract says that this does no harm."""

from __future__ import annotations

import json
from collections import Counter
from importlib.resources import files
from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet, MethodOptions

from tools.service_config import service_config

CONTRACT = FileDescriptorSet.FromString(files("trunkline_server.data").joinpath("contract.binpb").read_bytes())
CONFIG: dict[str, Any] = json.loads(service_config(CONTRACT))
METHODS = {
    f"/{file.package}.{service.name}/{method.name}": method
    for file in CONTRACT.file
    for service in file.service
    for method in service.method
}


def terms(method: str) -> dict[str, Any]:
    name = dict(zip(("service", "method"), method.removeprefix("/").split("/"), strict=True))
    entries: list[dict[str, Any]] = CONFIG["methodConfig"]
    (found,) = (entry for entry in entries if name in entry["name"])
    return found


def test_every_method_stands_there_once() -> None:
    names = [f"/{each['service']}/{each['method']}" for entry in CONFIG["methodConfig"] for each in entry["name"]]

    assert Counter(names) == Counter(list(METHODS))


@pytest.mark.parametrize("method", METHODS)
def test_what_is_not_marked_as_repeatable_is_not_repeated(method: str) -> None:
    marked = METHODS[method].options.idempotency_level != MethodOptions.IDEMPOTENCY_UNKNOWN

    assert ("retryPolicy" in terms(method)) == marked


def test_a_job_is_made_once_and_a_balance_read_again() -> None:
    assert "retryPolicy" not in terms("/trunkline.v1.JobService/CreateJob")
    assert terms("/trunkline.v1.CreditService/GetBalance")["retryPolicy"]["retryableStatusCodes"] == ["UNAVAILABLE"]


def test_a_stream_that_only_reads_is_not_cut_after_a_minute() -> None:
    assert terms("/trunkline.v1.JobService/WatchJob")["timeout"] == "900s"
    assert terms("/trunkline.v1.JobService/GetJob")["timeout"] == "60s"
