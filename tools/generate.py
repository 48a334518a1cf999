"""Writes what is made: from `proto/` the stubs of the Python client, its service config, and the descriptor set that
the server reads; from the asynchronous client the synchronous one.

The server's set keeps validation rules and scopes; the client's stubs are without, and need only protobuf and grpc.
With `--check` nothing is written: the tree is compared with what would be, and a difference is an error.
"""

from __future__ import annotations

import argparse
import filecmp
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

from tools import service_config, sync_client

ROOT: Final = Path(__file__).resolve().parent.parent
BIN: Final = ROOT / ".venv" / "bin"
PROTOC_PYTHON: Final = ROOT / ".tools" / "protoc" / "bin" / "python"
PACKAGE: Final = Path("trunkline/v1")
PYTHON: Final = ROOT / "clients" / "python"
SYNC: Final = Path("trunkline/sync")
SERVICE_CONFIG: Final = Path("trunkline/service_config.json")
FOLDERS: Final = (PACKAGE, SYNC)
CONTRACT: Final = ROOT / "server" / "trunkline_server" / "data" / "contract.binpb"
SERVER_ONLY: Final = ("buf/validate/validate.proto", "trunkline/v1/options.proto")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail when the tree is out of date")
    check: bool = parser.parse_args().check
    with tempfile.TemporaryDirectory() as made:
        contract = Path(made, CONTRACT.name)
        build_image(contract, "--exclude-source-info")
        write_stubs(Path(made))
        sync_client.write(PYTHON / "trunkline" / "aio", Path(made, SYNC), BIN / "ruff", ROOT / "pyproject.toml")
        return report(contract, Path(made)) if check else install(contract, Path(made))


def build_image(output: Path, *options: str) -> None:
    run(str(BIN / "buf"), "build", "--as-file-descriptor-set", *options, "--output", str(output))


def write_stubs(made: Path) -> None:
    """Runs protoc and its plugins over the client's part of the contract, into `made`."""
    image, client_image = made / "full.binpb", made / "client.binpb"
    build_image(image)
    client = without_server_only(FileDescriptorSet.FromString(image.read_bytes()))
    client_image.write_bytes(client.SerializeToString(deterministic=True))
    run(
        *(str(PROTOC_PYTHON), "-m", "grpc_tools.protoc", f"--descriptor_set_in={client_image}"),
        *(f"--plugin={BIN / f'protoc-gen-{name}'}" for name in ("mypy", "mypy_grpc")),
        *(f"--{name}_out={made}" for name in ("python", "grpc_python")),
        *(f"--{name}_out=quiet:{made}" for name in ("mypy", "mypy_grpc")),
        *(file.name for file in client.file if file.name.startswith(f"{PACKAGE}/")),
    )
    drop_empty_service_stubs(made / PACKAGE, client)
    Path(made, SERVICE_CONFIG).write_text(service_config.service_config(client), "utf-8")
    Path(made, PACKAGE, "__init__.py").write_text('"""The generated messages and stubs of `trunkline.v1`."""\n')


def without_server_only(image: FileDescriptorSet) -> FileDescriptorSet:
    """Custom options are unknown fields to this process, which never loads their extensions: discard them."""
    image.DiscardUnknownFields()
    kept = [file for file in image.file if file.name not in SERVER_ONLY]
    for file in kept:
        public = {file.dependency[index] for index in file.public_dependency}
        used = [name for name in file.dependency if name not in SERVER_ONLY]
        file.dependency[:] = used
        file.public_dependency[:] = [index for index, name in enumerate(used) if name in public]
    return FileDescriptorSet(file=kept)


def drop_empty_service_stubs(stubs: Path, client: FileDescriptorSet) -> None:
    """The gRPC generators write a file for every proto, also where there is no service in it."""
    for file in client.file:
        if not file.service:
            for ending in ("py", "pyi"):
                (stubs / f"{module(file)}_pb2_grpc.{ending}").unlink(missing_ok=True)


def module(file: FileDescriptorProto) -> str:
    return Path(file.name).stem


def install(contract: Path, made: Path) -> int:
    CONTRACT.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(contract, CONTRACT)
    shutil.copyfile(made / SERVICE_CONFIG, PYTHON / SERVICE_CONFIG)
    for folder in FOLDERS:
        for name in generated(PYTHON / folder) - generated(made / folder):
            (PYTHON / folder / name).unlink()
        shutil.copytree(made / folder, PYTHON / folder, dirs_exist_ok=True)
    return 0


def report(contract: Path, made: Path) -> int:
    names = [SERVICE_CONFIG]
    for folder in FOLDERS:
        names += [folder / name for name in sorted(generated(PYTHON / folder) | generated(made / folder))]
    stale = [str(name) for name in names if not same(PYTHON / name, made / name)]
    if not same(CONTRACT, contract):
        stale.append(CONTRACT.name)
    for name in stale:
        print(f"{name} is not what it is made from: run `make gen`", file=sys.stderr)
    return 1 if stale else 0


def generated(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("*.py*")}


def same(left: Path, right: Path) -> bool:
    return left.is_file() and right.is_file() and filecmp.cmp(left, right, shallow=False)


def run(*command: str) -> None:
    subprocess.run(command, cwd=ROOT, check=True)


if __name__ == "__main__":
    sys.exit(main())
