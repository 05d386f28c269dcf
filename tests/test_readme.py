"""README.md is true: its command lines run, its flags exist, its configuration file is taken."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.cli import main
from bridge.settings import read_settings

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
PATIENCE_S = 60.0
STAY = frozenset({"serve", "demo"})
"""Commands that go on until they are told to stop: their flags are looked up, they are not run."""


def command_lines() -> list[list[str]]:
    """The arguments of every ``luokkasilta`` line in README's blocks, in their order."""
    lines = re.findall(r"^    luokkasilta (.+)$", README, flags=re.MULTILINE)
    return [shlex.split(line, comments=True) for line in lines]


def help_of(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as caught:
        main([*words, "--help"])
    assert caught.value.code == 0
    return capsys.readouterr().out


def test_it_begins_with_the_two_commands() -> None:
    blocks = re.findall(r"(?:^    .+\n)+", README, flags=re.MULTILINE)
    assert [line.split("#")[0].strip() for line in blocks[0].splitlines()] == ["make demo", "make test"]


def test_every_command_line_runs(tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    ran = 0
    for arguments in command_lines():
        if arguments[0] in STAY:
            continue
        assert "data" in arguments, arguments
        command = [
            sys.executable,
            "-m",
            "bridge.cli",
            *(data if word == "data" else word for word in arguments),
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        assert (done.returncode, done.stderr) == (0, ""), arguments
        ran += 1
    assert ran >= 6


def test_every_flag_exists(capsys: pytest.CaptureFixture[str]) -> None:
    shown: set[str] = set()
    for arguments in command_lines():
        words = arguments[:2] if arguments[0] == "lesson" else arguments[:1]
        said = help_of(words, capsys)
        for flag in (word for word in arguments if word.startswith("--")):
            assert re.search(rf"^  {flag}\b", said, flags=re.MULTILINE), f"{' '.join(words)} has no {flag}"
            shown.add(flag)
    for row in re.findall(r"^\| `((?:lesson )?\w+)` \| (.*) \|$", README, flags=re.MULTILINE):
        said = help_of(row[0].split(), capsys)
        for flag in re.findall(r"`(--[a-z-]+)`", row[1]):
            assert re.search(rf"^  {flag}\b", said, flags=re.MULTILINE), f"{row[0]} has no {flag}"
    every = help_of(["serve"], capsys)
    for flag in re.findall(r"`(--[a-z-]+) ADDR", README):
        assert f"  {flag} ADDR" in every
    assert {"--http", "--data", "--certificate", "--behind-proxy", "--config", "--operator"} <= shown


def test_every_command_is_in_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    shown = set(re.findall(r"^\| `((?:lesson )?\w+)` \|", README, flags=re.MULTILINE))
    known = set(re.findall(r"^ {4}(\w+)\b", help_of([], capsys), flags=re.MULTILINE)) - {"lesson"}
    known |= {f"lesson {verb}" for verb in ("new", "list", "end")}
    assert shown == known


def test_its_configuration_file_is_taken(tmp_path: Path) -> None:
    (block,) = re.findall(r"```toml\n(.*?)```", README, flags=re.DOTALL)
    secret = tmp_path / "turn.secret"
    secret.write_text("a secret")
    file = tmp_path / "luokkasilta.toml"
    file.write_text(block.replace("/etc/luokkasilta/turn.secret", str(secret)), encoding="utf-8")
    config = read_settings(file)
    assert config.tls is not None
    assert config.turn is not None
    assert config.contact is not None
    assert config.announce == ("198.51.100.7",)
