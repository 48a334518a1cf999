"""What jobs are done with: the same that answers callers at once."""

from __future__ import annotations

from dataclasses import dataclass

from trunkline_server.door.status import to_status
from trunkline_server.gateway.errands import Errands
from trunkline_server.gateway.jobs import errand
from trunkline_server.gateway.jobs.bulk import BulkJob
from trunkline_server.gateway.jobs.bulk_items import BulkItems
from trunkline_server.gateway.jobs.chat import ChatJob
from trunkline_server.gateway.jobs.kind import JobKind
from trunkline_server.gateway.jobs.speech import SpeechJob
from trunkline_server.gateway.jobs.task import TaskJob
from trunkline_server.gateway.jobs.tool import ToolJob
from trunkline_server.gateway.jobs.upsert import UpsertJob
from trunkline_server.gateway.questions import Questions
from trunkline_server.gateway.talks.talks import Talks
from trunkline_server.gateway.tools.loop import ToolLoop
from trunkline_server.house.collecting import Collecting
from trunkline_server.house.ground import Ground
from trunkline_server.house.hooks import Hooks
from trunkline_server.house.tasks import tasks_over
from trunkline_server.store.bulk import Carriage
from trunkline_server.store.jobs import Jobs
from trunkline_server.store.operations import Operations


@dataclass(frozen=True)
class Means:
    """`tools` is the loop for calls that no kept answer will do for."""

    errands: Errands
    hooks: Hooks
    collecting: Collecting
    questions: Questions
    talks: Talks
    tools: ToolLoop

    def kinds(self, ground: Ground, jobs: Jobs) -> dict[str, JobKind]:
        """By the name of their field in `JobSpec`."""
        errands, tools, wakes = self.errands, self.tools, self.hooks.wakes
        gateway, operations = errands.gateway, Operations(ground.database)
        return {
            "chat": ChatJob(gateway, self.talks, tools, self.questions, errands.policy, operations, jobs, wakes),
            "speech": SpeechJob(errands),
            "task": TaskJob(tasks_over(ground.settings.tasks, ground.database, gateway)),
            "tool": ToolJob(tools.toolbox, tools.runner, gateway.admission),
            "upsert": UpsertJob(self.collecting.intake),
            **errand.works(errands, operations, wakes),
        }

    def bulk(self, ground: Ground, jobs: Jobs) -> BulkJob:
        """What carries the batches that providers do."""
        errands, database = self.errands, ground.database
        items = BulkItems(errands.gateway, errands.media, errands.policy, Carriage(database), jobs, to_status)
        return BulkJob(items, Operations(database))
