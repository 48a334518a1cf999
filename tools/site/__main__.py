"""`make docs`: the documentation as pages that need no network."""

from __future__ import annotations

import argparse
from pathlib import Path

from tools.generate import ROOT
from tools.site.site import Site


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "site", help="where the pages go")
    output: Path = parser.parse_args().output
    Site(ROOT, output).build()
    print(f"{output / 'index.html'}")


if __name__ == "__main__":
    main()
