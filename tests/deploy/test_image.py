"""What the image is made of: it is all there, it is what is locked, and compose starts it with settings that exist."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import yaml

from trunkline_server import config

ROOT: Final = Path(__file__).parents[2]
DOCKERFILE: Final = (ROOT / "Dockerfile").read_text("utf-8")
PINNED: Final = re.compile(r"^([a-z0-9-]+)==(\S+)", re.MULTILINE)
GIVEN_OUTSIDE: Final = {"POSTGRES_PASSWORD": "p", "TRUNKLINE_PEPPER": "q" * 32}


def locked(path: str) -> dict[str, str]:
    return dict(PINNED.findall((ROOT / path).read_text("utf-8")))


def compose() -> Any:
    return yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text("utf-8"))


def settings_of_compose() -> config.Settings:
    given = compose()["services"]["trunkline"]["environment"]
    filled = {
        name: re.sub(r"\$\{(\w+):[^}]*\}", lambda m: GIVEN_OUTSIDE.get(m[1], ""), text) for name, text in given.items()
    }
    return config.load({name: text for name, text in filled.items() if text})


def test_what_is_copied_is_there_and_not_kept_out() -> None:
    kept_out = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE):
        for source in line.split()[:-1]:
            assert (ROOT / source).exists(), source
            assert f"!{source}" in kept_out, source


def test_the_image_has_what_is_tested_and_no_tools() -> None:
    image, tested = locked("deploy/requirements.lock"), locked("requirements.lock")
    assert image.items() <= tested.items()
    assert not {"pytest", "ruff", "mypy", "openai", "hypothesis"} & image.keys()
    assert {"asyncpg", "uvloop", "protobuf"} <= image.keys()


def test_it_is_not_root_and_has_no_shell() -> None:
    last = DOCKERFILE.rpartition("FROM ")[2]
    assert last.startswith("gcr.io/distroless/")
    assert ":nonroot" in last.partition("\n")[0]
    assert "\nRUN " not in last
    assert '["/usr/bin/python3", "-m", "trunkline_server"]' in last


def test_nothing_is_compiled_at_each_start() -> None:
    builder, _, last = DOCKERFILE.rpartition("FROM ")
    assert "PYTHONDONTWRITEBYTECODE=1" in last
    assert builder.rindex("RUN python -m compileall") > builder.rindex("RUN pip install")


def test_compose_gives_settings_that_exist() -> None:
    settings = settings_of_compose()
    assert settings.database_url.endswith("@postgres/trunkline")
    assert settings.redis_url == "redis://valkey:6379/0"
    assert settings.auth.pepper == GIVEN_OUTSIDE["TRUNKLINE_PEPPER"]


def test_compose_lets_it_drain() -> None:
    grace_s = int(compose()["services"]["trunkline"]["stop_grace_period"].rstrip("s"))
    settings = settings_of_compose()
    assert grace_s > settings.grpc.drain_delay_s + settings.grpc.drain_grace_s
