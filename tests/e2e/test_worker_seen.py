"""A worker alone, as a process: Prometheus and whoever looks after it find it over HTTP."""

from __future__ import annotations

import asyncio
import re
import signal
import urllib.request

import pytest

from tests.fixtures.served import Serve

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]


def _page(url: str) -> tuple[int, str]:
    with urllib.request.urlopen(url, timeout=20) as answer:
        return answer.status, answer.read().decode()


async def test_a_worker_alone_has_probes_and_figures(serve: Serve) -> None:
    worker = await serve(command=("worker",), TRUNKLINE_JOBS__HTTP_ADDRESS="127.0.0.1:0")
    await worker.until_working()
    found = re.search(r"is seen on (\S+)", worker.log)
    assert found
    for path, part in (("healthz", "ok"), ("readyz", "ok"), ("metrics", "trunkline_loop_lag_seconds ")):
        status, text = await asyncio.to_thread(_page, f"http://{found[1]}/{path}")
        assert (status, part in text) == (200, True)
    worker.send(signal.SIGTERM)
    assert await worker.gone() == 0
