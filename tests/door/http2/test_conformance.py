"""What callers see of our server is what they see of grpc.aio's: the same calls, with gRPC's own clients, to both."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from tests.fixtures.both_servers import PREFIX, RECEIVE_BYTES_MAX, Service, client, ours, theirs
from tests.fixtures.until import until

MIB = 1024 * 1024


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture(params=[ours, theirs], ids=["ours", "grpc.aio"])
async def port(request: pytest.FixtureRequest, service: Service) -> AsyncIterator[int]:
    async with request.param(service) as port:
        yield port


@pytest.fixture
async def channel(port: int) -> AsyncIterator[Any]:
    async with client(port) as channel:
        yield channel


def unary(channel: Any, name: str) -> Any:
    return channel.unary_unary(PREFIX + name)


async def failure(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


@pytest.mark.parametrize("size", [0, 1, 16_379, 16_380, 70_000, 3 * MIB])
async def test_a_message_comes_back_whole(channel: Any, size: int) -> None:
    message = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    assert await unary(channel, "echo")(message) == message


async def test_many_calls_at_once_on_one_connection(channel: Any) -> None:
    calls = [unary(channel, "echo")(str(number).encode()) for number in range(1000)]
    assert await asyncio.gather(*calls) == [str(number).encode() for number in range(1000)]


async def test_a_stream_of_answers(channel: Any) -> None:
    call = channel.unary_stream(PREFIX + "count")(b"500 1000")
    assert [message async for message in call] == [bytes([number % 256]) * 1000 for number in range(500)]


@pytest.mark.parametrize(("times", "size"), [(0, 0), (1, 1), (1000, 10), (5, MIB)])
async def test_an_upload(channel: Any, times: int, size: int) -> None:
    call = channel.stream_unary(PREFIX + "total")(b"x" * size for _ in range(times))
    assert await call == f"{times} {times * size}".encode()


async def test_both_ways(channel: Any) -> None:
    call = channel.stream_stream(PREFIX + "mirror")()
    for word in (b"one", b"", b"three" * 50_000):
        await call.write(word)
        assert await call.read() == word
    await call.done_writing()
    assert await call.read() is grpc.aio.EOF
    assert await call.code() is grpc.StatusCode.OK


@pytest.mark.parametrize("message", ["", "plain", "100 % of a\tpähm\n€𝄞", "x" * 3000])
@pytest.mark.parametrize("code", [1, 2, 3, 5, 8, 13, 14, 16])
async def test_failures_with_all_they_say(channel: Any, code: int, message: str) -> None:
    error = await failure(unary(channel, "fail")(f"{code} {message}".encode()))
    assert (error.code().value[0], error.details()) == (code, message)
    assert dict(error.trailing_metadata()) == {"x-told": "a b", "x-told-bin": b"\0\xff"}


async def test_a_failure_after_the_first_message(channel: Any) -> None:
    call = channel.unary_stream(PREFIX + "fail_late")(b"")
    assert await call.read() == b"first"
    assert (await failure(call.read())).code() is grpc.StatusCode.ABORTED


async def test_metadata(channel: Any, service: Service) -> None:
    sent = (("x-one", "1"), ("x-one", "2"), ("x-long", "y" * 3000), ("x-bin", b"\0\1\xff"), ("x-bin", b""), ("x-e", ""))
    for _ in range(3):  # the second time it is said by number
        await unary(channel, "echo")(b"", metadata=sent)
        assert [each for each in map(tuple, service.seen.metadata) if each[0] != "user-agent"] == list(sent)


async def test_too_much_metadata(channel: Any) -> None:
    error = await failure(unary(channel, "echo")(b"", metadata=(("x-long", "y" * 70_000),)))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert await unary(channel, "echo")(b"still here") == b"still here"


@pytest.mark.parametrize("path", ["/test.Test/Nothing", "/other/echo", "/", "/a/b/c"])
async def test_methods_that_are_not_there(channel: Any, path: str) -> None:
    assert (await failure(channel.unary_unary(path)(b""))).code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_message_that_is_too_large(channel: Any) -> None:
    error = await failure(unary(channel, "echo")(b"x" * (RECEIVE_BYTES_MAX + 1)))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert len(await unary(channel, "echo")(b"x" * RECEIVE_BYTES_MAX)) == RECEIVE_BYTES_MAX


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.Deflate])
async def test_compressed_requests(channel: Any, compression: grpc.Compression) -> None:
    message = b"again and " * 10_000
    assert await unary(channel, "echo")(message, compression=compression) == message
    bomb = unary(channel, "echo")(bytes(50 * MIB), compression=compression)
    assert (await failure(bomb)).code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_caller_who_leaves_ends_the_handler(channel: Any, service: Service) -> None:
    call = unary(channel, "hang")(b"")
    async with asyncio.timeout(10):
        await service.seen.started.wait()
        call.cancel()
        await service.seen.cancelled.wait()


async def test_a_deadline_ends_the_handler(channel: Any, service: Service) -> None:
    await unary(channel, "echo")(b"the connection is there")
    error = await failure(unary(channel, "hang")(b"", timeout=1))
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    async with asyncio.timeout(10):
        await service.seen.cancelled.wait()


async def test_a_connection_that_is_lost_ends_the_handler(port: int, service: Service) -> None:
    async with client(port) as channel:
        call = channel.unary_stream(PREFIX + "first_then_hang")(b"")
        assert await call.read() == b"first"
    await until(service.seen.cancelled.is_set)


async def test_a_reader_who_is_slow_gets_it_all(channel: Any) -> None:
    call = channel.unary_stream(PREFIX + "count")(b"32 200000")
    for number in range(32):
        message = await call.read()
        assert message == bytes([number]) * 200_000
        await asyncio.sleep(0)
    assert await call.read() is grpc.aio.EOF


async def test_the_synchronous_client(port: int) -> None:
    def talk() -> tuple[bytes, list[bytes], bytes, str]:
        channel: Any
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            echoed = channel.unary_unary(PREFIX + "echo")(b"hi", timeout=10)
            counted = list(channel.unary_stream(PREFIX + "count")(b"3 2", timeout=10))
            total = channel.stream_unary(PREFIX + "total")(iter([b"a", b"bc"]), timeout=10)
            try:
                channel.unary_unary(PREFIX + "fail")(b"5 gone", timeout=10)
            except grpc.RpcError as error:
                return echoed, counted, total, str(error.details())
        return echoed, counted, total, ""

    told = await asyncio.to_thread(talk)
    assert told == (b"hi", [b"\0\0", b"\1\1", b"\2\2"], b"2 3", "gone")
