"""Does tasks: a text is cut where it has to be, each piece is asked about, and the answers become one.

text ──cut──▶ pieces ──ask──▶ answers ──(a summary of several)──▶ gathered, and asked about again
                                 └──▶ result, with the bill of all calls
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from trunkline.v1 import chat_pb2, tasks_pb2
from trunkline_server.core.call import Call
from trunkline_server.core.errors import TrunklineError
from trunkline_server.core.tasks.choosing import task_of
from trunkline_server.core.tasks.task import Said
from trunkline_server.gateway.chat_work import ChatWork
from trunkline_server.gateway.tasks.asking import Asker, Asking, base_of
from trunkline_server.gateway.tasks.prompts import TaskPrompts

DEFAULT: Final = "default"


@dataclass(frozen=True, slots=True)
class TaskSettings:
    """`models` by task, or for all as `default`: the first, and what it falls back on."""

    models: Mapping[str, Sequence[str]]
    piece_tokens: int
    at_once: int = 1

    def models_of(self, task: str) -> Sequence[str]:
        return self.models.get(task) or self.models.get(DEFAULT, ())


@dataclass(frozen=True)
class Tasks:
    """For services and jobs alike."""

    asker: Asker
    prompts: TaskPrompts
    settings: TaskSettings

    async def perform(self, call: Call, input: tasks_pb2.TaskInput) -> tasks_pb2.TaskResult:
        """The result, and what it took. Raises what the caller did wrong before anything is spent."""
        asking = await self.asking(call, input)
        pieces = asking.pieces(asking.task.text, self.settings.piece_tokens)
        result = tasks_pb2.TaskResult()
        try:
            asking.task.write(await self._said(asking, pieces), result)
        except ExceptionGroup as several:
            raise asking.bill.blame(_first(several)) from None
        except TrunklineError as error:
            raise asking.bill.blame(error) from error.__cause__
        asking.bill.write(result.receipt)
        result.receipt.piece_count = len(pieces)
        result.receipt.prompt.CopyFrom(asking.prompt.use)
        return result

    async def asking(self, call: Call, input: tasks_pb2.TaskInput) -> Asking:
        """The task, ready to be asked. Raises VALIDATION, MODEL_NOT_FOUND."""
        task = task_of(input)
        task.check()
        base = base_of(input.options, task, self.settings.models_of(task.name))
        prompt = await self.prompts.find(call.caller.tenant_id, task.name)
        return Asking(self.asker, call, task, prompt, base)

    def most_nanos(self, asking: Asking, *, charged: bool) -> int:
        """The most that it can cost."""
        admission, route = self.asker.admission, asking.route
        questions = asking.questions(asking.pieces(asking.task.text, self.settings.piece_tokens))
        mosts = [admission.offer(ChatWork(each), route, charged=charged).most_nanos for each in questions]
        if asking.task.combines and len(mosts) > 1:
            mosts.append(max(mosts))
        most = sum(mosts)
        return min(most, asking.base.max_cost.nanos) if asking.base.HasField("max_cost") else most

    async def _said(self, asking: Asking, pieces: Sequence[str]) -> list[Said]:
        said = await self._asked(asking, pieces)
        while asking.task.combines and len(said) > 1:
            again = asking.pieces(asking.task.gathered(said), self.settings.piece_tokens)
            if len(again) >= len(said):  # it does not become shorter
                break
            said = await self._asked(asking, again)
        return said

    async def _asked(self, asking: Asking, pieces: Sequence[str]) -> list[Said]:
        """Some at once; one after the other where each may spend only what those before it have left."""
        places = asyncio.Semaphore(1 if asking.base.HasField("max_cost") else self.settings.at_once)

        questions = asking.questions(pieces)

        async def ask(piece: str, input: chat_pb2.ChatInput) -> Said:
            async with places:
                return await asking.ask(piece, input, alone=False)

        if len(pieces) == 1:
            return [await asking.ask(pieces[0], questions[0], alone=True)]
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(ask(*each)) for each in zip(pieces, questions, strict=True)]
        return [task.result() for task in running]


def _first(several: BaseExceptionGroup[BaseException]) -> TrunklineError:
    """The first that a caller may be told. A fault of ours goes on as what it is."""
    for error in _leaves(several):
        if isinstance(error, TrunklineError):
            return error
    raise several


def _leaves(several: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in several.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error
