"""A dataset, looked through line by line: how many examples and tokens it has, and what is wrong where.

Of a line that is wrong the place is told, and never a word of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import msgspec

from trunkline.v1 import fine_tuning_pb2
from trunkline_server.core.tuning.rules import Rules, Wrong, judged

FAULTS_MAX: Final = 100
LINE_BYTES_MAX: Final = 8 * 1024 * 1024
EXAMPLES_MAX: Final = 1_000_000

_LINE: Final = msgspec.json.Decoder()


@dataclass
class Dataset:
    """Takes the bytes in whatever pieces they come, and keeps a line of them at most."""

    rules: Rules
    example_count: int = 0
    token_count: int = 0
    fault_count: int = 0
    faults: list[fine_tuning_pb2.DatasetFault] = field(default_factory=list)
    _line: int = 0
    _waiting: bytearray = field(default_factory=bytearray)
    _is_too_long: bool = False

    def feed(self, data: bytes) -> None:
        """The next piece."""
        self._waiting += data
        *lines, rest = self._waiting.split(b"\n")
        for line in lines:
            self._take(bytes(line))
        self._waiting = rest
        if len(rest) > LINE_BYTES_MAX:
            self._is_too_long = True
            self._waiting.clear()

    def close(self) -> None:
        """There is no more."""
        if self._waiting or self._is_too_long:
            self._take(bytes(self._waiting))
            self._waiting.clear()
        least = self.rules.examples_min
        if self.example_count < least:
            self._note(0, Wrong("", f"has {self.example_count} examples, and the provider wants {least}"))
        if self.example_count > EXAMPLES_MAX:
            self._note(0, Wrong("", f"has more than {EXAMPLES_MAX} examples"))

    def _take(self, line: bytes) -> None:
        self._line += 1
        self.example_count += 1
        too_long, self._is_too_long = self._is_too_long or len(line) > LINE_BYTES_MAX, False
        if too_long:
            self._note(self._line, Wrong("", f"has more than {LINE_BYTES_MAX} bytes"))
            return
        for wrong in self._looked_at(line):
            self._note(self._line, wrong)

    def _looked_at(self, line: bytes) -> Iterator[Wrong]:
        try:
            example = _LINE.decode(line)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
            yield Wrong("", "is no JSON")
            return
        tokens, wrongs = judged(example, self.rules)
        self.token_count += tokens
        yield from wrongs

    def _note(self, line: int, wrong: Wrong) -> None:
        self.fault_count += 1
        if len(self.faults) < FAULTS_MAX:
            fault = fine_tuning_pb2.DatasetFault(line=line, field=wrong.field, description=wrong.description)
            self.faults.append(fault)
