"""``python -m tests.line``: what it understands, and one command run over a line."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE

import pytest

from tests.line.__main__ import parse_line, parse_rate
from tests.line.loss import GilbertElliott
from tests.line.network import NO_UDP, Line, Network
from tests.line.test_network import ROOT


def test_the_arguments_make_a_line() -> None:
    text = "--rate-down 2M --rate-up 300k --delay 30 --loss 5 --burst 2.5 --queue 200 --no-udp --seed 4"
    line, command = parse_line(f"{text} -- ping -c 1 10.77.0.1".split())
    loss = GilbertElliott.bursts(0.05, 2.5)
    assert line == Line(2e6, 3e5, 0.03, loss, queue_s=0.2, blocked=NO_UDP, seed=4)
    assert command == ["ping", "-c", "1", "10.77.0.1"]
    assert parse_line([]) == (Line(), [])
    assert parse_rate("1.5M") == 1.5e6


@pytest.mark.parametrize(
    "wrong", [["--rate-down", "fast"], ["--rate-up", "-2M"], ["--loss", "100"], ["--delay", "-1"], ["--what"]]
)
def test_arguments_that_make_none(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        parse_line(wrong)
    assert exit_.value.code == 2
    assert "usage" in capsys.readouterr().err


async def test_a_command_runs_at_the_client_and_its_code_is_ours(network: Network) -> None:
    # `network` is here for its skip alone.
    program = "import socket, sys; s = socket.create_server(('', 0)); sys.exit(len(socket.if_nameindex()))"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.line", "--delay", "5", "--", sys.executable, "-c", program),
        cwd=ROOT,
        stdout=PIPE,
    )
    said = (await process.communicate())[0].decode()
    assert process.returncode == 2, "loopback and the line"
    assert "server 10.77.0.1: nsenter" in said
    assert "missed by the emulator: 0" in said
