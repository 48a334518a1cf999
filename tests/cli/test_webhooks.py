"""`webhooks` against a real gateway."""

from __future__ import annotations

import json

from tests.cli.conftest import Called
from tests.fixtures.gateway import RunningGateway
from tests.fixtures.until import until

URI = "https://hooks.invalid/here"


async def test_the_life_of_an_endpoint(called: Called, gateway: RunningGateway) -> None:
    made = (await called("webhooks", "create", URI, "--type", "BatchProgress")).stdout
    assert "whsec_" in made
    [listed] = (await called("webhooks", "list", "--json")).stdout.splitlines()
    endpoint_id = json.loads(listed)["endpointId"]
    assert endpoint_id in made
    assert "whsec_" in (await called("webhooks", "rotate", endpoint_id)).stdout
    assert (await called("webhooks", "test", endpoint_id)).exit_code == 0
    attempts = "SELECT attempt > 0 FROM webhook_delivery"
    await until(lambda: gateway.house.background.database.fetchval(attempts))
    assert "URL_NOT_ALLOWED" in (await called("webhooks", "deliveries", "--endpoint", endpoint_id)).stdout
    assert (await called("webhooks", "disable", endpoint_id)).exit_code == 0
    assert "disabled" in (await called("webhooks", "list")).stdout
    assert "failed" in (await called("webhooks", "deliveries", "--state", "failed")).stdout
    assert (await called("webhooks", "enable", endpoint_id)).exit_code == 0
    assert "1 sent again" in (await called("webhooks", "redeliver", endpoint_id)).stdout
    assert (await called("webhooks", "delete", endpoint_id)).exit_code == 0
    assert (await called("webhooks", "list", "--json")).stdout == ""


async def test_what_is_refused_and_what_signs_callbacks(called: Called, gateway: RunningGateway) -> None:
    refused = await called("webhooks", "create", "https://127.0.0.1/")
    assert (refused.exit_code, "URL_NOT_ALLOWED" in refused.stderr) == (1, True)
    assert "whsec_" in (await called("webhooks", "create", "--for-callbacks")).stdout
    assert "callbacks of jobs" in (await called("webhooks", "list")).stdout
    assert "RESOURCE_NOT_FOUND" in (await called("webhooks", "redeliver", "whdl_" + "1" * 32)).stderr
