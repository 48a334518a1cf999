"""Each client against a gateway that runs: its own tests in its own language, and the quickstart of its README.

Not part of the suite, because it builds for minutes and needs the tools of seven languages: `make test-clients`.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clients.readme import Readme
from tests.fixtures.served import ROOT, Serve, Served, serve

__all__ = ["serve"]

pytestmark = pytest.mark.timeout(900)


@dataclass(frozen=True)
class Language:
    """The commands that its tests need, and how they are run in its folder. Python's are in the suite."""

    name: str
    needs: tuple[str, ...]
    tests: tuple[str, ...]
    in_ci: bool = True

    @property
    def folder(self) -> Path:
        return ROOT / "clients" / self.name


PHP_STATUS = (  # what google/common-protos has, where Composer fetches nothing
    "! command -v protoc grpc_php_plugin > /dev/null || "
    "protoc --descriptor_set_in=../../.tools/clients/contract.binpb --php_out=grpc google/rpc/status.proto"
)
LANGUAGES = (
    Language("python", ("python3",), ()),
    Language("go", ("go",), ("go vet ./...", "go test -count=1 ./...")),
    Language("typescript", ("node", "npm"), ("npm run --silent build", "npm test --silent")),
    Language("php", ("php", "phpunit", "composer"), (PHP_STATUS, "phpunit --configuration phpunit.xml"), in_ci=False),
    Language("java", ("java", "mvn"), ("mvn -q -B -Dstyle.color=never install",)),
    Language("rust", ("cargo",), ("cargo test --quiet",)),
    Language("ruby", ("ruby", "grpc_ruby_plugin"), ("ruby -Ilib test/client_test.rb",), in_ci=False),
)


def each(languages: Iterable[Language]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("language", list(languages), ids=lambda language: language.name, indirect=True)


WANTED = os.environ.get("LANGUAGES", "").split()
CHOSEN = [language for language in LANGUAGES if not WANTED or language.name in WANTED]


@pytest.fixture
def language(request: pytest.FixtureRequest) -> Language:
    language: Language = request.param
    missing = [command for command in language.needs if shutil.which(command) is None]
    if missing and language.in_ci and os.environ.get("CI") == "true":
        pytest.fail(f"no {', '.join(missing)} on the path")
    if missing:
        pytest.skip(f"no {', '.join(missing)} on the path")
    return language


@each(language for language in CHOSEN if language.tests)
async def test_a_client_speaks_to_the_gateway(language: Language, serve: Serve, tmp_path: Path) -> None:
    served = await started(serve)
    for command in language.tests:
        await done(command, language.folder, where(served))


@each(CHOSEN)
async def test_the_quickstart_works_as_it_is_written(language: Language, serve: Serve, tmp_path: Path) -> None:
    served = await started(serve)
    empty = tmp_path / "empty"
    empty.mkdir()
    readme = Readme(language.folder / "README.md")
    readme.lay_out(empty)
    said = "".join([await done(command, empty, where(served)) for command in readme.commands])
    assert said.count("Hello out there") == 2, said


async def started(serve: Serve) -> Served:
    served = await serve()
    await served.until_serving()
    return served


def where(served: Served) -> dict[str, str]:
    addresses = json.loads((served.data_dir / "addresses.json").read_text())
    return {
        "TRUNKLINE": str(ROOT),
        "TRUNKLINE_ADDRESS": addresses["grpc"],
        "TRUNKLINE_URL": f"http://{addresses['http']}",
        "TRUNKLINE_API_KEY": served.key,
        "CARGO_TARGET_DIR": str(ROOT / "clients" / "rust" / "target"),  # the quickstart need not build all again
    }


async def done(command: str, folder: Path, environment: dict[str, str]) -> str:
    """What it said, once it ended well."""
    process = await asyncio.create_subprocess_exec(
        *("bash", "-euo", "pipefail", "-c", command),
        cwd=folder,
        env=os.environ | environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        said = (await process.communicate())[0].decode()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0, f"{command}\n{said}"
    return said
