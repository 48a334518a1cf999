"""Puts the rooms of background work together: events, jobs, batches, their worker."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeAlias

from google.protobuf.descriptor import ServiceDescriptor

from trunkline.v1 import batches_pb2, events_pb2, jobs_pb2, video_pb2
from trunkline_server.config import JobsSection, Settings
from trunkline_server.core.page_token import PageTokens
from trunkline_server.core.trace import Tracer
from trunkline_server.door.status import to_status
from trunkline_server.gateway.jobs.bulk import BulkJob
from trunkline_server.gateway.jobs.kind import JobWork
from trunkline_server.gateway.jobs.orders import Orders, OrderSettings
from trunkline_server.house.ground import Ground
from trunkline_server.house.hooks import Hooks
from trunkline_server.house.means import Means
from trunkline_server.house.tuning import Tuning
from trunkline_server.services.batches import BatchService
from trunkline_server.services.events import EventService
from trunkline_server.services.jobs import JobService
from trunkline_server.services.video import VideoService
from trunkline_server.store import outbox
from trunkline_server.store.batches import Batches
from trunkline_server.store.bulk import KIND
from trunkline_server.store.database import Database
from trunkline_server.store.fine_tunes import KIND as TUNE
from trunkline_server.store.jobs import Caps, Jobs
from trunkline_server.store.ledger import Ledger
from trunkline_server.store.news import Announcer, News
from trunkline_server.store.outbox import Outbox
from trunkline_server.store.wishes import Wishes
from trunkline_server.worker.attempt import Shop
from trunkline_server.worker.chores import Chore, in_parts
from trunkline_server.worker.jobs import JobWorker, WorkerSettings
from trunkline_server.worker.listeners import Follower, installed
from trunkline_server.worker.webhooks import Postman

Served: TypeAlias = list[tuple[ServiceDescriptor, object]]


@dataclass(frozen=True)
class Background:
    """What runs with nobody waiting."""

    settings: Settings
    database: Database
    jobs: Jobs
    batches: Batches
    orders: Orders
    bulk: BulkJob
    outbox: Outbox
    wishes: Wishes
    news: News
    hooks: Hooks
    tuning: Tuning

    @classmethod
    async def open(cls, ground: Ground, means: Means, ledger: Ledger, tuning: Tuning) -> Background:
        """Hears of news once this returns."""
        settings, database = ground.settings, ground.database
        announcer, news = Announcer(database), News()
        jobs = Jobs(database, announcer)
        bulk = means.bulk(ground, jobs)
        await news.follow(database, outbox.CHANNEL)
        return cls(
            settings=settings,
            database=database,
            jobs=jobs,
            batches=Batches(database, announcer, ledger),
            orders=Orders(means.kinds(ground, jobs), order_settings(settings.jobs), bulk),
            bulk=bulk,
            outbox=Outbox(database),
            wishes=Wishes(database, timedelta(days=settings.events.keep_days)),
            news=news,
            hooks=means.hooks,
            tuning=tuning,
        )

    def services(self, tokens: PageTokens, draining: Callable[[], bool]) -> Served:
        """What callers may ask of it."""
        jobs = JobService(self.jobs, self.orders, tokens, self.news, to_status, draining, self.hooks.callback)
        batches = BatchService(self.batches, self.orders, tokens, self.news, to_status, draining)
        video = VideoService(self.jobs, self.orders, to_status)
        events = EventService(self.outbox, self.wishes, self.news, draining)
        return [
            (jobs_pb2.DESCRIPTOR.services_by_name["JobService"], jobs),
            (batches_pb2.DESCRIPTOR.services_by_name["BatchService"], batches),
            (video_pb2.DESCRIPTOR.services_by_name["VideoService"], video),
            (events_pb2.DESCRIPTOR.services_by_name["EventService"], events),
            self.hooks.service(tokens),
        ]

    def chores(self) -> list[Chore]:
        """Forgetting what is old."""
        jobs, events = timedelta(days=self.settings.jobs.keep_days), timedelta(days=self.settings.events.keep_days)
        return [
            Chore("purge_jobs", 600, in_parts(lambda: self.jobs.purge(jobs))),
            Chore("purge_batches", 600, in_parts(lambda: self.batches.purge(jobs))),
            Chore("purge_events", 600, in_parts(lambda: self.outbox.purge(events))),
            Chore("purge_wishes", 3600, self.wishes.purge),
            self.tuning.chore(),
            *self.hooks.chores(),
        ]

    def listeners(self) -> Iterator[Coroutine[object, object, None]]:
        """What other distributions want to hear."""
        for name, listener in installed():
            yield Follower(f"listener {name}", listener, self.outbox, self.wishes, self.news).follow()

    async def begin_work(self, tracer: Tracer | None = None) -> Working:
        """The worker begins."""
        works: dict[str, JobWork] = {**self.orders.works, KIND: self.bulk, TUNE: self.tuning.job}
        worker = JobWorker(Shop(self.jobs, works, to_status, tracer), _worker_settings(self.settings.jobs))
        await worker.follow(self.database)
        task = asyncio.create_task(_both(worker, self.hooks.postman()), name="worker")
        return Working(worker, task, self.settings.grpc.drain_grace_s)


@dataclass(frozen=True)
class Working:
    """A worker at work. `task` ends only with an error, or cancelled."""

    worker: JobWorker
    task: asyncio.Task[None]
    grace_s: float

    async def end(self) -> None:
        """Claim no more, and let what runs come to its end; what does not goes back to its queue."""
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        await self.worker.drain(self.grace_s)


async def _both(worker: JobWorker, postman: Postman) -> None:
    """Jobs and webhooks, until cancelled."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(worker.work(), name="worker.jobs")
        tasks.create_task(postman.work(), name="worker.webhooks")


def order_settings(given: JobsSection) -> OrderSettings:
    return OrderSettings(given.attempts_max, round(given.timeout_s), round(given.life_s))


def _worker_settings(given: JobsSection) -> WorkerSettings:
    return WorkerSettings(
        concurrency=given.concurrency,
        queues=given.queues,
        lease_s=given.lease_s,
        margin_s=given.lease_s / 6,
        look_s=given.look_s,
        caps=Caps(given.tenant_running_max, given.user_running_max, given.model_running_max),
    )
