"""Guards through the HTTP door: what a tenant keeps out, it keeps out by every API."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai import AsyncOpenAI, BadRequestError

from tests.fixtures.dialects import DIALECTS
from tests.fixtures.gateway import StartGateway
from tests.fixtures.upstream import Upstream

OPENAI = DIALECTS[0]
MAIL = "ann@example.org"
ASKED: Any = [{"role": "user", "content": f"Write to {MAIL}"}]


def guard(**fields: Any) -> Any:
    return {"trunkline": {"guard": fields}}


async def test_openai_clients_are_guarded(start_gateway: StartGateway, upstream: Upstream) -> None:
    gateway = await start_gateway(OPENAI.environment(upstream.url))
    masks = guard(input={"personalData": "GUARD_LEVEL_STANDARD"}, output={"personalData": "GUARD_LEVEL_STANDARD"})
    async with AsyncOpenAI(
        base_url=f"http://{gateway.house.http_address}/v1", api_key=gateway.key, max_retries=0
    ) as client:
        upstream.stream(OPENAI.stream("To [EMA", "IL_1] and ", "bob@exam", "ple.org"))
        stream = await client.chat.completions.create(model=OPENAI.name, messages=ASKED, stream=True, extra_body=masks)
        text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])
        assert text == f"To {MAIL} and [EMAIL]"
        assert MAIL not in upstream.requests[-1].body.decode()

        ends = guard(output={"personalData": "GUARD_LEVEL_STANDARD", "action": "GUARD_ACTION_REFUSE"})
        upstream.reply(json=OPENAI.whole("Ask bob@example.org", 3))
        answer = await client.chat.completions.create(model=OPENAI.name, messages=ASKED, extra_body=ends)
        assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == ("Ask ", "content_filter")

        refuses = guard(input={"personalData": "GUARD_LEVEL_STANDARD", "action": "GUARD_ACTION_REFUSE"})
        with pytest.raises(BadRequestError) as raised:
            await client.chat.completions.create(model=OPENAI.name, messages=ASKED, extra_body=refuses)
        assert "EMAIL" in json.dumps(raised.value.body)
        assert MAIL not in json.dumps(raised.value.body)
