"""Reflection: open where only this machine can come, for keys with the scope `admin:reflect` elsewhere."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.message import DecodeError
from grpc_reflection.v1alpha import reflection_pb2

from trunkline_server.core.errors import TrunklineError
from trunkline_server.door.caller import Callers
from trunkline_server.door.code import Code
from trunkline_server.door.http2.exchange import Exchange, Rpc
from trunkline_server.door.metadata import Said
from trunkline_server.door.status import CODES, trailers_of

SCOPE: Final = "admin:reflect"
SERVICE: Final = "grpc.reflection.v1alpha.ServerReflection"
_PATHS: Final = tuple(
    f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo" for version in ("v1", "v1alpha")
)
"""Both spell their messages alike."""
_Response = reflection_pb2.ServerReflectionResponse


def is_local(address: str) -> bool:
    """Whether only this machine can reach a listener."""
    host = address.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Reflection:
    """Tells what there is: `services`, and the files that describe them. Without `callers` everybody may ask."""

    def __init__(self, services: Iterable[str], callers: Callers | None = None) -> None:
        self._services = sorted((*services, SERVICE))
        self._callers = callers
        self._pool: Any = descriptor_pool.Default()

    def rpcs(self) -> dict[str, Rpc]:
        return {path: Rpc(self._serve, uploads=True) for path in _PATHS}

    async def _serve(self, exchange: Exchange) -> None:
        """Who may not ask is told once they have asked: clients lose an answer that comes before their question."""
        data = await exchange.receive()
        if self._callers is not None and not await _may(self._callers, exchange):
            return
        try:
            while data is not None:
                request = reflection_pb2.ServerReflectionRequest.FromString(data)
                await exchange.send(self._answer(request).SerializeToString())
                data = await exchange.receive()
        except DecodeError:
            exchange.finish(Code.INVALID_ARGUMENT, "the request is no ServerReflectionRequest")
        else:
            exchange.finish(Code.OK)

    def _answer(self, request: Any) -> Any:
        response = _Response(valid_host=request.host, original_request=request)
        try:
            self._fill(response, request)
        except KeyError:
            response.error_response.error_code = Code.NOT_FOUND
            response.error_response.error_message = "there is no such thing"
        return response

    def _fill(self, response: Any, request: Any) -> None:
        match request.WhichOneof("message_request"):
            case "list_services":
                for name in self._services:
                    response.list_services_response.service.add(name=name)
            case "file_by_filename":
                _describe(response, self._pool.FindFileByName(request.file_by_filename))
            case "file_containing_symbol":
                _describe(response, self._pool.FindFileContainingSymbol(request.file_containing_symbol))
            case "file_containing_extension":
                asked = request.file_containing_extension
                extended = self._pool.FindMessageTypeByName(asked.containing_type)
                _describe(response, self._pool.FindExtensionByNumber(extended, asked.extension_number).file)
            case "all_extension_numbers_of_type":
                extended = self._pool.FindMessageTypeByName(request.all_extension_numbers_of_type)
                numbers = sorted(each.number for each in self._pool.FindAllExtensions(extended))
                response.all_extension_numbers_response.base_type_name = extended.full_name
                response.all_extension_numbers_response.extension_number.extend(numbers)
            case _:
                response.error_response.error_code = Code.INVALID_ARGUMENT
                response.error_response.error_message = "nothing is asked for"


async def _may(callers: Callers, exchange: Exchange) -> bool:
    said = Said.read(exchange.metadata)
    try:
        await callers.identify(said.tokens, SCOPE)
    except TrunklineError as error:
        trailers = trailers_of(error, said.request_id)
        exchange.finish(CODES[error.reason], error.message, trailers.items())
        return False
    return True


def _describe(response: Any, file: Any) -> None:
    """A file and all that it needs."""
    files = {file.name: file}
    _gather(file, files)
    for each in files.values():
        proto = descriptor_pb2.FileDescriptorProto()
        each.CopyToProto(proto)
        response.file_descriptor_response.file_descriptor_proto.append(proto.SerializeToString())


def _gather(file: Any, files: dict[str, Any]) -> None:
    for needed in file.dependencies:
        if needed.name not in files:
            files[needed.name] = needed
            _gather(needed, files)
