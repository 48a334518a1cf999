"""Classify: which labels fit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from trunkline.v1 import tasks_pb2
from trunkline_server.core.errors import invalid
from trunkline_server.core.tasks.task import Rules, Said, Task, closed, listed

SENTIMENTS: Final = ("positive", "negative", "neutral", "mixed")
TOPICS_MAX: Final = 5
THRESHOLD: Final = 0.5


@dataclass(frozen=True, slots=True)
class Classify(Task):
    """Scores of pieces are weighed by their lengths."""

    name = "classify"

    input: tasks_pb2.ClassifyInput

    @property
    def text(self) -> str:
        return self.input.text

    def check(self) -> None:
        names = [label.name for label in self.input.labels]
        if len(set(names)) != len(names):
            raise invalid("classify.labels", "have the same name twice")
        if self.input.kind == tasks_pb2.CLASSIFY_KIND_SENTIMENT and names:
            raise invalid("classify.labels", "belong to LABELS and TOPIC; sentiments have their own")
        if not self._known and not self._names_topics:
            raise invalid("classify.labels", "must be at least two")
        self._check_examples()

    def words(self) -> Mapping[str, str]:
        many = "Several labels may fit." if self.input.multi_label else "Exactly one label fits best."
        return {
            "labels": self._described(),
            "rule": many,
            "instructions": self.input.instructions,
            "examples": listed(f"{example.text!r}: {example.label}" for example in self.input.examples),
        }

    def rules(self) -> Rules:
        label: Rules = {"enum": list(self._known)} if self._known else {"type": "string", "minLength": 1}
        score = closed({"label": label, "score": {"type": "number", "minimum": 0, "maximum": 1}})
        most = len(self._known) or TOPICS_MAX
        return closed({"scores": {"type": "array", "items": score, "minItems": 1, "maxItems": most}})

    def write(self, said: Sequence[Said], result: tasks_pb2.TaskResult) -> None:
        scores = self._weighed(said)
        best = max(scores, key=lambda label: scores[label])
        fitting = [label for label, score in scores.items() if score >= (self.input.threshold or THRESHOLD)]
        told = result.classify
        told.label = best
        for label in sorted(scores, key=lambda label: -scores[label]):
            told.scores.add(label=label, score=scores[label])
        told.labels.extend(sorted(fitting, key=lambda label: -scores[label]) if self.input.multi_label else [best])

    def _weighed(self, said: Sequence[Said]) -> dict[str, float]:
        """Each label's best score in a piece counts; one that the model leaves out has 0."""
        sums = defaultdict[str, float](float, dict.fromkeys(self._known, 0.0))
        whole = sum(len(piece) for piece, _ in said)
        for piece, answer in said:
            own: dict[str, float] = {}
            for each in answer["scores"]:
                own[each["label"]] = max(own.get(each["label"], 0.0), each["score"])
            for label, score in own.items():
                sums[label] += score * len(piece) / whole
        return {label: min(round(score, 6), 1.0) for label, score in sums.items()}

    @property
    def _known(self) -> Sequence[str]:
        if self.input.kind == tasks_pb2.CLASSIFY_KIND_SENTIMENT:
            return SENTIMENTS
        names = [label.name for label in self.input.labels]
        return names if len(names) > 1 else []

    @property
    def _names_topics(self) -> bool:
        return self.input.kind == tasks_pb2.CLASSIFY_KIND_TOPIC and not self.input.labels

    def _described(self) -> str:
        if self._names_topics:
            return f"Name its topics, {TOPICS_MAX} at most, each in one to three words."
        about = {label.name: label.description for label in self.input.labels}
        return listed(f"{name}: {about[name]}" if about.get(name) else name for name in self._known)

    def _check_examples(self) -> None:
        for index, example in enumerate(self.input.examples):
            if self._known and example.label not in self._known:
                raise invalid(f"classify.examples[{index}].label", "is none of the labels")
