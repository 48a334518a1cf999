"""`make quality`: how well a model does our tasks, through a gateway that runs.

The gateway is that of `TRUNKLINE_ADDRESS` and `TRUNKLINE_API_KEY`. Not a part of `make test`: it
asks a real model, which costs money, and runs the code that the model writes.
"""

from __future__ import annotations

import argparse
import asyncio
import os

import grpc

from tests.quality.judging import Judge
from trunkline.v1 import tasks_pb2_grpc


async def judged(model: str) -> dict[str, float]:
    async with grpc.aio.insecure_channel(os.environ.get("TRUNKLINE_ADDRESS", "127.0.0.1:50051")) as channel:
        tasks: tasks_pb2_grpc.TaskServiceAsyncStub = tasks_pb2_grpc.TaskServiceStub(channel)
        metadata = (("authorization", f"Bearer {os.environ['TRUNKLINE_API_KEY']}"),)
        return await Judge(tasks, metadata, model, runs_code=True).scores()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="such as openai/gpt-4o-mini")
    parser.add_argument("--least", type=float, default=0.8, help="the score that every task must reach, 0 to 1")
    given = parser.parse_args()
    scores = asyncio.run(judged(given.model))
    for task, score in scores.items():
        print(f"{task:14} {score:.2f}")
    return int(min(scores.values()) < given.least)


if __name__ == "__main__":
    raise SystemExit(main())
