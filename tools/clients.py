"""Makes the clients of other languages: stubs by the `buf.gen.yaml` of each, without the server's rules.

A language whose tools are not here is left out, and that is said; with `CI=true` it is an error for those that CI has.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.rpc import error_details_pb2

from tools.generate import BIN, ROOT, build_image, without_server_only
from tools.service_config import service_config

MADE: Final = ROOT / ".tools" / "clients"
CONTRACT: Final = MADE / "contract.binpb"
CLIENTS: Final = ROOT / "clients"
GO_PLUGINS: Final = (
    "google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.10",
    "google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.5.1",
)
FETCHES_MAX: Final = 3
MAVEN: Final = ("mvn", "-q", "-B", "-Dstyle.color=never")
COPY: Final = "org.apache.maven.plugins:maven-dependency-plugin:3.6.0:copy"
JAVA_PLUGINS: Final = (
    "com.google.protobuf:protoc:4.31.1:exe:linux-x86_64",
    "io.grpc:protoc-gen-grpc-java:1.75.0:exe:linux-x86_64",
)


@dataclass(frozen=True)
class Language:
    """Commands on the path, where its service config goes (if it reads one), what is fetched before, what is made."""

    commands: tuple[str, ...]
    service_config: str
    prepare: Callable[[], None] = lambda: None
    made: str = ""
    in_ci: bool = True
    template: bool = True


def go_plugins() -> None:
    for plugin in GO_PLUGINS:  # of two modules, which cannot be installed together
        fetch("go", "install", plugin, GOBIN=str(MADE / "go"))
    fetch("go", "mod", "download", folder=CLIENTS / "go")


def typescript_packages() -> None:
    fetch("npm", "ci", "--silent", "--no-audit", "--no-fund", folder=CLIENTS / "typescript")


def java_plugins() -> None:
    """The compiler that ships the generator of messages, and the generator of stubs, both from Maven Central."""
    for artifact in JAVA_PLUGINS:
        program = MADE / "java" / artifact.split(":")[1]
        if not program.exists():
            copy_from_maven(artifact, program)


def copy_from_maven(artifact: str, program: Path) -> None:
    with tempfile.TemporaryDirectory() as fetched:
        fetch(*MAVEN, COPY, f"-Dartifact={artifact}", f"-DoutputDirectory={fetched}")
        program.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(next(Path(fetched).iterdir()), program)
    program.chmod(0o755)


def rust_contract() -> None:
    """The crate makes its stubs when it is built."""
    shutil.copyfile(CONTRACT, CLIENTS / "rust" / "contract.binpb")


LANGUAGES: Final = {
    "go": Language(("go",), "service_config.json", go_plugins, "v1"),
    "typescript": Language(("node", "npm"), "", typescript_packages, "src/gen"),
    "java": Language(
        ("java", "mvn"), "src/main/resources/io/trunkline/service_config.json", java_plugins, "src/generated"
    ),
    "rust": Language(("cargo",), "service_config.json", rust_contract, template=False),
    "python": Language(("python3",), "", template=False),  # `make gen` keeps its stubs in the tree
    "php": Language(("protoc", "grpc_php_plugin"), "resources/service_config.json", made="grpc", in_ci=False),
    "ruby": Language(
        ("protoc", "grpc_ruby_plugin"), "lib/trunkline/service_config.json", made="lib/trunkline/v1", in_ci=False
    ),
    "csharp": Language(("protoc", "grpc_csharp_plugin"), "service_config.json", made="generated", in_ci=False),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("languages", nargs="*", metavar="language", help="all by default")
    chosen: list[str] = parser.parse_args().languages or list(LANGUAGES)
    if unknown := set(chosen) - set(LANGUAGES):
        parser.error(f"no client for {', '.join(sorted(unknown))}: there are {', '.join(LANGUAGES)}")
    contract = client_contract()
    MADE.mkdir(parents=True, exist_ok=True)
    CONTRACT.write_bytes(contract.SerializeToString(deterministic=True))
    return max(make(name, service_config(contract)) for name in chosen)


def client_contract() -> FileDescriptorSet:
    """The contract as clients know it, with the error details that come with every failure."""
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder, "full.binpb")
        build_image(image)
        contract = without_server_only(FileDescriptorSet.FromString(image.read_bytes()))
    contract.file.append(FileDescriptorProto.FromString(error_details_pb2.DESCRIPTOR.serialized_pb))
    return contract


def make(name: str, config: str) -> int:
    language = LANGUAGES[name]
    write_service_config(name, language, config)
    missing = [command for command in language.commands if shutil.which(command) is None]
    if missing:
        return left_out(name, language, missing)
    language.prepare()
    if language.made:
        shutil.rmtree(CLIENTS / name / language.made, ignore_errors=True)
    if language.template:
        run(str(BIN / "buf"), "generate", "--template", f"clients/{name}/buf.gen.yaml")
    print(f"clients/{name} is made")
    return 0


def write_service_config(name: str, language: Language, config: str) -> None:
    """Also where no stubs can be made: the PHP client needs nothing else."""
    if language.service_config:
        told = CLIENTS / name / language.service_config
        told.parent.mkdir(parents=True, exist_ok=True)
        told.write_text(config)


def left_out(name: str, language: Language, missing: list[str]) -> int:
    print(f"clients/{name} is without stubs: no {', '.join(missing)} on the path", file=sys.stderr)
    return int(language.in_ci and os.environ.get("CI") == "true")


def fetch(*command: str, folder: Path = ROOT, **environment: str) -> None:
    """Runs what asks a registry, which may not answer the first time."""
    for _ in range(FETCHES_MAX - 1):
        with suppress(subprocess.CalledProcessError):
            return run(*command, folder=folder, **environment)
    return run(*command, folder=folder, **environment)


def run(*command: str, folder: Path = ROOT, **environment: str) -> None:
    subprocess.run(command, cwd=folder, check=True, env=os.environ | environment)


if __name__ == "__main__":
    sys.exit(main())
