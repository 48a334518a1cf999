"""The same answer as `echo`, from our own gRPC server: what our door costs before anything is behind it."""

from __future__ import annotations

import uvloop

from tests.bench.child import say, until_let_go
from tests.bench.echo import answer
from tests.bench.load import COMPLETE
from trunkline.v1 import chat_pb2
from trunkline_server.door.code import Code
from trunkline_server.door.http2.exchange import Exchange, Rpc
from trunkline_server.door.http2.limits import Limits
from trunkline_server.door.http2.listener import Listener


async def main() -> None:
    response = answer()

    async def serve(exchange: Exchange) -> None:
        chat_pb2.CompleteRequest.FromString(exchange.request)
        await exchange.send(response.SerializeToString())
        exchange.finish(Code.OK)

    listener = Listener({COMPLETE: Rpc(serve)}, Limits())
    port = await listener.start("127.0.0.1", 0)
    say({"address": f"127.0.0.1:{port}"})
    await until_let_go()
    await listener.stop(0)


if __name__ == "__main__":
    uvloop.run(main())
