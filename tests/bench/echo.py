"""The floor for a unary call: grpc.aio with the generated stubs, which answers at once with what it has ready."""

from __future__ import annotations

import grpc
import uvloop

from tests.bench.child import say, until_let_go
from tests.bench.upstream import WORD, WORDS
from trunkline.v1 import chat_pb2, chat_pb2_grpc, content_pb2


def answer() -> chat_pb2.CompleteResponse:
    """As large as the answer of the gateway."""
    text = content_pb2.Part(text=content_pb2.TextPart(text=WORD * WORDS))
    message = content_pb2.Message(role=content_pb2.ROLE_ASSISTANT, parts=[text])
    completion = chat_pb2.Completion(
        completion_id="cmpl_00000000000000000000000000000000",
        provider="openai",
        model="gpt-4o-mini-2024-07-18",
        provider_response_id="chatcmpl-0123456789",
        candidates=[chat_pb2.Candidate(message=message, finish_reason=chat_pb2.FINISH_REASON_STOP)],
        attempts=[chat_pb2.Attempt(provider="openai", model="gpt-4o-mini", succeeded=True, http_status=200)],
        price_version="openai/gpt-4o-mini/000000",
    )
    return chat_pb2.CompleteResponse(completion=completion)


class Echo(chat_pb2_grpc.ChatServiceServicer):
    """Says the same to everybody."""

    def __init__(self) -> None:
        self._response = answer()

    async def Complete(  # noqa: N802 - the name in the contract
        self, request: chat_pb2.CompleteRequest, context: object
    ) -> chat_pb2.CompleteResponse:
        return self._response


async def main() -> None:
    server = grpc.aio.server()
    chat_pb2_grpc.add_ChatServiceServicer_to_server(Echo(), server)  # type: ignore[abstract]  # serves one method
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    say({"address": f"127.0.0.1:{port}"})
    await until_let_go()
    await server.stop(0)


if __name__ == "__main__":
    uvloop.run(main())
