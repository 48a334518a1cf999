"""What answers callers and does jobs: calls, and all that is built on them."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass

from trunkline_server.config import Settings
from trunkline_server.core.audit_chain import HeadKey
from trunkline_server.gateway.actions.by_tool import ByTool
from trunkline_server.gateway.cache.memory import Memory
from trunkline_server.gateway.cache.shelf import Shelf
from trunkline_server.gateway.copies import Copies
from trunkline_server.gateway.errands import Errands
from trunkline_server.gateway.file_stores import FileStores
from trunkline_server.gateway.media import Media
from trunkline_server.gateway.questions import Questions
from trunkline_server.gateway.streams.streams import Streams
from trunkline_server.gateway.talks.talks import Talks
from trunkline_server.house.actions import Actions
from trunkline_server.house.background import Background
from trunkline_server.house.calls import Calls
from trunkline_server.house.collecting import Collecting
from trunkline_server.house.filing import open_archive
from trunkline_server.house.ground import Ground
from trunkline_server.house.hooks import Hooks
from trunkline_server.house.keeping import keep
from trunkline_server.house.limiting import stream_settings
from trunkline_server.house.means import Means
from trunkline_server.house.routing import require_known_chains
from trunkline_server.house.tooling import Tooling
from trunkline_server.house.tuning import Tuning
from trunkline_server.providers.egress import Egress
from trunkline_server.store.archive import Archive
from trunkline_server.store.audit_log import AuditLog
from trunkline_server.store.conversation_tails import ConversationTails
from trunkline_server.store.search_stores import SearchStores
from trunkline_server.store.vector_stores import VectorStores


@dataclass(frozen=True)
class Engine:
    """The same in a process that serves and in one that works alone."""

    ground: Ground
    calls: Calls
    audit: AuditLog
    shelf: Shelf
    streams: Streams
    errands: Errands
    collecting: Collecting
    actions: Actions
    archive: Archive
    copies: Copies
    questions: Questions
    talks: Talks
    tooling: Tooling
    tuning: Tuning
    background: Background

    async def follow(self) -> None:
        """Hear of what others change, and keep up with it. Raises StartError."""
        calls, stack = self.calls, self.ground.stack
        told = (calls.learning, calls.own, self.tuning.models, calls.gossip, calls.limiter.book, calls.guards.policies)
        for each in (calls.ledger.accounts, self.shelf, *told):
            await each.follow()
        require_known_chains(calls.routes)
        stack.push_async_callback(calls.teller.flush)
        keep(stack, *(each.keep() for each in told), calls.teller.keep())


async def open_engine(settings: Settings, stack: AsyncExitStack) -> Engine:
    """Raises StartError; what was opened is closed with the stack."""
    ground = await Ground.lay(settings, stack)
    calls = await Calls.open(ground)
    hooks = await Hooks.open(ground)
    archive = open_archive(ground)
    errands = _errands(ground, calls, archive)
    copies = Copies(archive, calls.routes)
    questions = Questions(errands.media, FileStores(SearchStores(ground.database), copies))
    collecting = Collecting.open(ground, errands)
    talks = _open_talks(ground, calls, collecting)
    tooling = await Tooling.open(ground, calls.gateway)
    tuning = Tuning.open(ground, calls, copies)
    means = Means(errands, hooks, collecting, questions, talks, tooling.plain(calls.gateway))
    return Engine(
        ground=ground,
        calls=calls,
        audit=AuditLog(ground.database, HeadKey.derive(ground.secret)),
        shelf=Shelf(Memory(settings.cache.memory_bytes_max), ground.shared, ground.database),
        streams=Streams(stream_settings(settings), ground.shared),
        errands=errands,
        collecting=collecting,
        actions=Actions.open(ground, ByTool(tooling.toolbox, tooling.runner)),
        archive=archive,
        copies=copies,
        questions=questions,
        talks=talks,
        tooling=tooling,
        tuning=tuning,
        background=await Background.open(ground, means, calls.ledger, tuning),
    )


def _errands(ground: Ground, calls: Calls, archive: Archive) -> Errands:
    media = Media(Egress(ground.policy), archive, VectorStores(ground.database))
    return Errands(calls.gateway, media, ground.policy)


def _open_talks(ground: Ground, calls: Calls, collecting: Collecting) -> Talks:
    tails = ConversationTails(ground.shared if ground.settings.conversations.tails_in_redis else None)
    talks = Talks.over(ground.database, tails, calls.gateway, collecting.finding)
    ground.stack.push_async_callback(talks.drained)
    return talks
