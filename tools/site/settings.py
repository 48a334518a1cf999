"""What the pages tell of each setting."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tools.site.tables import bare, tables

SOURCE: Final = "docs/configuration.md"
UNSET: Final = "unset"


@dataclass(frozen=True)
class Setting:
    key: str
    variable: str
    default: str
    meaning: str

    @property
    def section(self) -> str:
        """The table of the file that it stands in; none for those at its top."""
        return self.key.rpartition(".")[0]

    @property
    def example(self) -> str:
        """How the file says it."""
        name = self.key.rpartition(".")[2]
        line = f"# {name} is unset" if self.default == UNSET else f"{name} = {self.default}"
        return f"[{self.section}]\n{line}\n" if self.section else f"{line}\n"


def settings(root: Path) -> list[Setting]:
    """All, in the order of `docs/configuration.md`."""
    rows = tables(root.joinpath(SOURCE).read_text("utf-8"), "key")
    return [Setting(bare(key), bare(variable), bare(default), meaning) for key, variable, default, meaning in rows]
