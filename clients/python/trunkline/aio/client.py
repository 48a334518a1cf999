"""The client: everything begins here."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Self

import grpc

from trunkline.aio.audio import AsyncAudio
from trunkline.aio.batches import AsyncBatches
from trunkline.aio.budgets import AsyncBudgets
from trunkline.aio.chat import AsyncAsking
from trunkline.aio.collections import AsyncCollection, AsyncCollections
from trunkline.aio.connection import AsyncConnection
from trunkline.aio.conversations import AsyncConversations
from trunkline.aio.credits import AsyncCredits
from trunkline.aio.embeddings import AsyncEmbeddings, Purpose
from trunkline.aio.files import AsyncFiles
from trunkline.aio.images import AsyncImages
from trunkline.aio.jobs import AsyncJobs
from trunkline.aio.prompts import AsyncPrompts
from trunkline.aio.tasks import AsyncTasks
from trunkline.aio.videos import AsyncVideos
from trunkline.answer import Answer
from trunkline.channels import Access, Tls
from trunkline.content import Words
from trunkline.question import Question
from trunkline.v1 import models_pb2, models_pb2_grpc
from trunkline.vectors import Ranked, Vectors


class AsyncTrunkline(AsyncAsking):
    """A gateway. Opens its connection with the first call; close it, or use it as a context manager.

    What is not given comes from `TRUNKLINE_ADDRESS`, `TRUNKLINE_API_KEY` and `TRUNKLINE_MODEL`. Connections to other
    machines are encrypted unless `tls=False`. With `key_id` and `signing_key`, a private key in PEM or its file, each
    call is signed, and no key is sent (`TRUNKLINE_KEY_ID`, `TRUNKLINE_SIGNING_KEY`).
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        key: str | None = None,
        key_id: str | None = None,
        signing_key: str | Path | None = None,
        user: str = "",
        model: str | None = None,
        tls: Tls = None,
        timeout_s: float | None = None,
    ) -> None:
        access = Access.find(
            address,
            key=key,
            user=user,
            model=model,
            tls=tls,
            timeout_s=timeout_s,
            key_id=key_id,
            signing_key=signing_key,
        )
        super().__init__(AsyncConnection(access), Question(default_model=access.model, user=user))

    async def chat(self, words: Words) -> Answer:
        """Asks the default model."""
        return await self.send(words)

    async def embed(
        self,
        texts: str | Sequence[str],
        *,
        model: str,
        dimensions: int | None = None,
        purpose: Purpose | None = None,
        user: str = "",
    ) -> Vectors:
        """One vector for each text, in order."""
        given = [texts] if isinstance(texts, str) else texts
        embeddings = AsyncEmbeddings(self._connection, user)
        return await embeddings.embed(given, model=model, dimensions=dimensions, purpose=purpose)

    async def rerank(
        self, query: str, documents: Sequence[str], *, model: str, top: int | None = None, user: str = ""
    ) -> Sequence[Ranked]:
        """The documents, the best first."""
        return await AsyncEmbeddings(self._connection, user).rerank(query, documents, model=model, top=top)

    async def models(self) -> Sequence[models_pb2.Model]:
        """What can be called, and what it costs."""
        stub = models_pb2_grpc.ModelServiceStub(self._connection.channel)
        pages = self._connection.pages(stub.ListModels, models_pb2.ListModelsRequest())
        return [model async for page in pages for model in page.models]

    def collection(self, name: str) -> AsyncCollection:
        """One that there is, by its name or id."""
        return AsyncCollection(self._connection, name)

    @cached_property
    def conversations(self) -> AsyncConversations:
        return AsyncConversations(self._connection, self._question)

    @cached_property
    def prompts(self) -> AsyncPrompts:
        return AsyncPrompts(self._connection)

    @cached_property
    def jobs(self) -> AsyncJobs:
        return AsyncJobs(self._connection, self._question)

    @cached_property
    def batches(self) -> AsyncBatches:
        return AsyncBatches(self._connection, self._question)

    @cached_property
    def credits(self) -> AsyncCredits:
        return AsyncCredits(self._connection)

    @cached_property
    def images(self) -> AsyncImages:
        return AsyncImages(self._connection)

    @cached_property
    def audio(self) -> AsyncAudio:
        return AsyncAudio(self._connection)

    @cached_property
    def videos(self) -> AsyncVideos:
        return AsyncVideos(self._connection)

    @cached_property
    def tasks(self) -> AsyncTasks:
        return AsyncTasks(self._connection)

    @cached_property
    def collections(self) -> AsyncCollections:
        return AsyncCollections(self._connection)

    @cached_property
    def files(self) -> AsyncFiles:
        return AsyncFiles(self._connection)

    @cached_property
    def budgets(self) -> AsyncBudgets:
        return AsyncBudgets(self._connection)

    @property
    def channel(self) -> grpc.aio.Channel:
        """For the stubs in `trunkline.v1`, with `metadata`, where this client has no word for something."""
        return self._connection.channel

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        return self._connection.access.metadata()

    async def close(self) -> None:
        await self._connection.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
