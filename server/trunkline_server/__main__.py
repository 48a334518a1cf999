"""`python -m trunkline_server` is `trunkline`."""

from __future__ import annotations

from trunkline_server.cli import main

if __name__ == "__main__":
    main(prog_name="trunkline")
