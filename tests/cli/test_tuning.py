"""`fine-tunes` against a real gateway."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Called
from tests.fixtures.gateway import RunningGateway
from tests.fixtures.tuning import ended, example, jsonl


async def test_a_model_is_trained_and_named(called: Called, gateway: RunningGateway, tmp_path: Path) -> None:
    file = tmp_path / "examples.jsonl"
    file.write_bytes(jsonl(example(), example()) + b"{\n")
    bad = await called("fine-tunes", "check", "sandbox/echo", str(file))
    assert (bad.exit_code, "is no JSON" in bad.stdout) == (1, True)
    file.write_bytes(jsonl(example(), example()))
    good = await called("fine-tunes", "check", "sandbox/echo", str(file), "--epochs", "2")
    assert (good.exit_code, "epochs          2" in good.stdout) == (0, True)
    typed = ("fine-tunes", "create", "sandbox/echo", str(file), "--suffix", "deeds", "--request-id", "r1")
    name, again = [(await called(*typed)).stdout.strip() for _ in range(2)]
    assert name == again
    done = await ended(gateway, name)
    listed = await called("fine-tunes", "list", "--json")
    assert json.loads(listed.stdout)["fineTuneId"] == name
    assert done.provider_model in (await called("fine-tunes", "show", name)).stdout
    assert "Validating training file" in (await called("fine-tunes", "events", name)).stdout
    assert (await called("fine-tunes", "deploy", name, "bot", "--step", "10")).stdout.startswith("bot is sandbox/ft:")
    assert "bot" in (await called("fine-tunes", "names")).stdout
    assert (await called("fine-tunes", "undeploy", "bot")).exit_code == 0
    late = await called("fine-tunes", "cancel", name)
    assert (late.exit_code, "JOB_FINAL" in late.stderr) == (1, True)
