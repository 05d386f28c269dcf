"""Measures forwarding here: ``python -m tests.bench.forwarding --sweep --silent 1000 --two-lessons``

One teacher publishes 1.5 Mbit/s of VP8 in bursts of 6 packets of 1,200 octets and 50 voice packets a second;
so many receivers, each with real ICE, DTLS and AEAD_AES_128_GCM, decrypt, count, check order and report. What
is compared: our server, Debian's Janus at its best setting, and the bare loop, which only encrypts and sends.
Each run has fresh processes; the runs of all rivals alternate, so that other work on the machine meets them
alike.

--sweep         from 1 to 200 receivers, medians of 5 runs of 3 s; 12 minutes and more on a busy machine
--silent 1000   what so many connected endpoints cost while nobody publishes; about 2 minutes
--two-lessons   two lessons on two shards against two bare loops; about 2 minutes
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
from datetime import UTC, datetime

from tests.bench.first_picture import machine
from tests.bench.forwarding import janus, profile, programs
from tests.bench.forwarding.measure import Run, median, spread
from tests.bench.forwarding.others import silent, two_bare, two_lessons
from tests.bench.forwarding.rivals import RIVALS

SWEEP = [1, 10, 30, 60, 120, 200]
SILENT_S = 30.0
TWO_RECEIVERS = 30
"""Of each of two lessons: with the load itself, two cores are not full."""


async def compare(names: list[str], receivers: int, runs: int, seconds: float) -> dict[str, list[Run]]:
    """All rivals, interleaved."""
    found: dict[str, list[Run]] = {name: [] for name in names}
    for _ in range(runs):
        for name in names:
            found[name].append(await RIVALS[name](receivers, seconds))
    return found


def row(name: str, receivers: int, runs: list[Run]) -> str:
    """One line of the table."""
    missing, packets = sum(run.missing for run in runs), sum(run.packets for run in runs)
    disordered, late = sum(run.disordered for run in runs), sum(run.late for run in runs)
    p50, p99 = median(runs, "p50_us") / 1000, median(runs, "p99_us") / 1000
    return (
        f"| {receivers} | {name} | {median(runs, 'packet_us'):.2f} ({spread(runs, 'packet_us')}) "
        f"| {100 * median(runs, 'core'):.1f} | {p50:.2f}, {p99:.2f} "
        f"| {missing} of {packets}, {disordered} | {median(runs, 'resident') / 1024:.0f} | {late} |"
    )


def ratios(receivers: int, found: dict[str, list[Run]]) -> list[str]:
    """Ours against each other rival, as ratios of medians."""
    if "ours" not in found:
        return []
    ours, lines = found["ours"], []
    for name, runs in found.items():
        if name != "ours":
            time = median(ours, "packet_us") / median(runs, "packet_us")
            p99 = median(ours, "p99_us") / median(runs, "p99_us")
            lines.append(f"{receivers} receivers, ours / {name}: processor time {time:.2f}, p99 {p99:.2f}")
    return lines


async def measure(names: list[str], counts: list[int], runs: int, seconds: float) -> None:
    """Print the table and the ratios."""
    load = os.getloadavg()
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC; {machine()}; load before: {load[0]:.2f}")
    print(f"engine: {profile.describe()}; {runs} runs of {seconds:g} s each, interleaved")
    print(
        "| receivers | | us a packet: median (least to most) | % of a core | ms p50, p99 "
        "| missing, disordered | KiB | late |"
    )
    print("|---|---|---|---|---|---|---|---|")
    lines: list[str] = []
    resident: dict[str, list[tuple[int, float]]] = {name: [] for name in names}
    for receivers in counts:
        found = await compare(names, receivers, runs, seconds)
        for name in names:
            print(row(name, receivers, found[name]), flush=True)
            resident[name].append((receivers, median(found[name], "resident") / 1024))
        lines += ratios(receivers, found)
    for name, points in resident.items():
        if name in {"ours", "janus"} and len(points) > 1:
            (least, small), (most, large) = points[0], points[-1]
            each = (large - small) / (most - least)
            lines.append(f"{name}: {each:.0f} KiB for each further receiver, from {least} to {most}")
    print("\n".join(lines))
    print(f"load after: {os.getloadavg()[0]:.2f}")


async def measure_silent(endpoints: int) -> None:
    """Print what silence costs."""
    share = await silent(endpoints, SILENT_S)
    print(f"{endpoints} connected, silent endpoints: {100 * share:.1f} % of a core over {SILENT_S:g} s")


async def measure_two(receivers: int, runs: int, seconds: float) -> None:
    """Print what two lessons on two shards cost against two bare loops."""
    found: dict[str, list[float]] = {"two lessons": [], "two bare loops": []}
    for _ in range(runs):
        found["two lessons"].append(await two_lessons(receivers, seconds))
        found["two bare loops"].append(await two_bare(receivers, seconds))
    for name, values in found.items():
        spreading = f"{min(values):.2f} to {max(values):.2f}"
        print(f"{name} of {receivers} receivers: {statistics.median(values):.2f} us a packet ({spreading})")
    ours, bare = (statistics.median(values) for values in found.values())
    print(f"two lessons on two shards / two bare loops: {ours / bare:.2f}", flush=True)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--receivers", type=int, nargs="*", default=[], help="compare with so many")
    parser.add_argument("--sweep", action="store_true", help=f"compare with {SWEEP}")
    parser.add_argument("--silent", type=int, metavar="ENDPOINTS", help="measure their silence")
    parser.add_argument("--two-lessons", action="store_true", help="measure two shards")
    parser.add_argument("--runs", type=int, default=5, help="of each rival at each number of receivers (5)")
    parser.add_argument("--seconds", type=float, default=3.0, help="measured in each run (3)")
    parser.add_argument("--rivals", nargs="*", choices=list(RIVALS), default=["ours", "janus", "segments"])
    options = parser.parse_args()
    names = list(options.rivals)
    counts = SWEEP if options.sweep else list(options.receivers)
    if counts and "janus" in names and (reason := janus.why_not()):
        print(f"without Janus: {reason}", file=sys.stderr)
        names.remove("janus")
    programs.build()
    if counts:
        asyncio.run(measure(names, counts, options.runs, options.seconds))
    if options.silent:
        asyncio.run(measure_silent(options.silent))
    if options.two_lessons:
        asyncio.run(measure_two(TWO_RECEIVERS, options.runs, options.seconds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
