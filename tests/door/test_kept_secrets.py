"""What is kept for retries has no secrets in it: methods that tell one cannot be repeated by a `request_id`."""

from __future__ import annotations

import re
from typing import Any

from tests.fixtures.requests import GOOD

SECRET = re.compile(r"(^|_)secret$")


def method_of(name: str) -> Any:
    service, _, method = name.partition("/")
    return GOOD[name].DESCRIPTOR.file.services_by_name[service].methods_by_name[method]


def tells_a_secret(name: str) -> bool:
    return any(SECRET.search(field.name) for field in method_of(name).output_type.fields)


def test_no_answer_with_a_secret_is_kept() -> None:
    telling = {name for name in GOOD if tells_a_secret(name)}
    assert telling >= {"ToolService/CreateTool", "AdminService/CreateApiKey", "WebhookService/CreateEndpoint"}
    assert [name for name in telling if "request_id" in GOOD[name].DESCRIPTOR.fields_by_name] == []
