"""The client: everything begins here."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Self

import grpc

from trunkline.answer import Answer
from trunkline.channels import Access, Tls
from trunkline.content import Words
from trunkline.question import Question
from trunkline.sync.audio import Audio
from trunkline.sync.batches import Batches
from trunkline.sync.budgets import Budgets
from trunkline.sync.chat import Asking
from trunkline.sync.collections import Collection, Collections
from trunkline.sync.connection import Connection
from trunkline.sync.conversations import Conversations
from trunkline.sync.credits import Credits
from trunkline.sync.embeddings import Embeddings, Purpose
from trunkline.sync.files import Files
from trunkline.sync.images import Images
from trunkline.sync.jobs import Jobs
from trunkline.sync.prompts import Prompts
from trunkline.sync.tasks import Tasks
from trunkline.sync.videos import Videos
from trunkline.v1 import models_pb2, models_pb2_grpc
from trunkline.vectors import Ranked, Vectors


class Trunkline(Asking):
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
        super().__init__(Connection(access), Question(default_model=access.model, user=user))

    def chat(self, words: Words) -> Answer:
        """Asks the default model."""
        return self.send(words)

    def embed(
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
        embeddings = Embeddings(self._connection, user)
        return embeddings.embed(given, model=model, dimensions=dimensions, purpose=purpose)

    def rerank(
        self, query: str, documents: Sequence[str], *, model: str, top: int | None = None, user: str = ""
    ) -> Sequence[Ranked]:
        """The documents, the best first."""
        return Embeddings(self._connection, user).rerank(query, documents, model=model, top=top)

    def models(self) -> Sequence[models_pb2.Model]:
        """What can be called, and what it costs."""
        stub = models_pb2_grpc.ModelServiceStub(self._connection.channel)
        pages = self._connection.pages(stub.ListModels, models_pb2.ListModelsRequest())
        return [model for page in pages for model in page.models]

    def collection(self, name: str) -> Collection:
        """One that there is, by its name or id."""
        return Collection(self._connection, name)

    @cached_property
    def conversations(self) -> Conversations:
        return Conversations(self._connection, self._question)

    @cached_property
    def prompts(self) -> Prompts:
        return Prompts(self._connection)

    @cached_property
    def jobs(self) -> Jobs:
        return Jobs(self._connection, self._question)

    @cached_property
    def batches(self) -> Batches:
        return Batches(self._connection, self._question)

    @cached_property
    def credits(self) -> Credits:
        return Credits(self._connection)

    @cached_property
    def images(self) -> Images:
        return Images(self._connection)

    @cached_property
    def audio(self) -> Audio:
        return Audio(self._connection)

    @cached_property
    def videos(self) -> Videos:
        return Videos(self._connection)

    @cached_property
    def tasks(self) -> Tasks:
        return Tasks(self._connection)

    @cached_property
    def collections(self) -> Collections:
        return Collections(self._connection)

    @cached_property
    def files(self) -> Files:
        return Files(self._connection)

    @cached_property
    def budgets(self) -> Budgets:
        return Budgets(self._connection)

    @property
    def channel(self) -> grpc.Channel:
        """For the stubs in `trunkline.v1`, with `metadata`, where this client has no word for something."""
        return self._connection.channel

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        return self._connection.access.metadata()

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
