"""What the bench finds out, what it is held to, and how it is told."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

BASELINE: Final = Path(__file__).with_name("baseline.json")
WORSE_BY: Final = 1.25


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """Processor time is that of the serving process, a median over rounds."""

    echo_us: float
    own_echo_us: float
    client_us: float
    gateway_us: float
    moved_us: float
    """Of a call that its first provider fails, and the second answers."""
    gateway_busy: float
    """The share of its core that it used under unary load."""
    gateway_calls_per_s: float
    database_us: float
    burst_delta_us: float
    paced_delta_us: float
    paced_gap_ms: float
    paced_gap_p50_ms: float
    guarded_gap_p50_ms: float
    guarded_delta_us: float
    first_start_s: float
    start_s: float
    idle_mib: float
    ledger_pairs_per_s: float
    talk_ms: float
    """A call within a conversation of 10,000 messages, its part in PostgreSQL included."""

    @property
    def ratios(self) -> dict[str, float]:
        """What can be compared between machines: costs over the floors measured in the same minute."""
        return {
            "unary over floors": self.gateway_us / (self.echo_us + self.client_us),
            "moved call over floors": self.moved_us / (self.gateway_us + self.client_us),
            "burst delta over echo": self.burst_delta_us / self.echo_us,
            "paced delta over echo": self.paced_delta_us / self.echo_us,
        }


def told(figures: Figures) -> str:
    """A table for people."""
    ratios = figures.ratios
    rows = [
        ("unary call: grpc.aio echo", f"{figures.echo_us:.0f} us", ""),
        ("unary call: our server's echo", f"{figures.own_echo_us:.0f} us", ""),
        ("unary call: HTTP client alone", f"{figures.client_us:.0f} us", ""),
        ("unary call: the gateway", f"{figures.gateway_us:.0f} us", ""),
        ("  over the two floors", f"{ratios['unary over floors']:.2f}", "1.4"),
        ("  calls a second", f"{figures.gateway_calls_per_s:.0f}", ""),
        ("  of its core in use", f"{figures.gateway_busy:.0%}", ""),
        ("  in PostgreSQL beside it", f"{figures.database_us:.0f} us", ""),
        ("unary call that moves: the gateway", f"{figures.moved_us:.0f} us", ""),
        ("  over a call and one more request", f"{ratios['moved call over floors']:.2f}", "1.6"),
        ("streamed delta, in bursts", f"{figures.burst_delta_us:.1f} us", "10"),
        ("streamed delta, every 20 ms", f"{figures.paced_delta_us:.1f} us", ""),
        ("  largest gap of 64 streams", f"{figures.paced_gap_ms:.0f} ms", "200"),
        ("  the same under guard", f"{figures.guarded_delta_us:.1f} us", ""),
        ("  p50 of gaps, more under guard", f"{figures.guarded_gap_p50_ms - figures.paced_gap_p50_ms:.2f} ms", "1"),
        ("first start, with a new database", f"{figures.first_start_s:.2f} s", "5"),
        ("later start", f"{figures.start_s:.2f} s", "1.5"),
        ("ledger: holds settled a second", f"{figures.ledger_pairs_per_s:.0f}", ""),
        ("call in a talk of 10,000 messages", f"{figures.talk_ms:.1f} ms", "10"),
        ("memory when idle", f"{figures.idle_mib:.0f} MiB", "120"),
    ]
    return "\n".join(f"{name:<36}{value:>12}{goal:>8}" for name, value, goal in [("", "measured", "goal"), *rows])


def worse(now: Mapping[str, float], recorded: Mapping[str, float]) -> list[str]:
    """Which ratios are a quarter worse than they were."""
    return [
        f"{name}: {value:.3f}, recorded {recorded[name]:.3f}"
        for name, value in now.items()
        if name in recorded and value > recorded[name] * WORSE_BY
    ]


def record(ratios: Mapping[str, float]) -> None:
    """Hold later runs to these."""
    kept = {name: round(value, 4) for name, value in ratios.items()}
    BASELINE.write_bytes(msgspec.json.format(msgspec.json.encode(kept), indent=2) + b"\n")


def recorded() -> dict[str, float]:
    """What runs are held to; nothing before the first record."""
    if not BASELINE.exists():
        return {}
    return msgspec.json.decode(BASELINE.read_bytes(), type=dict[str, float])
