"""The command ``luokkasilta`` as a process: what it prints, how it ends, one clear line for every misuse."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from bridge.cli import parse_duration
from signalling.tokens import Tokens, load_key

PATIENCE_S = 30.0


def luokkasilta(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bridge.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)


def new_lesson(data: Path) -> str:
    done = luokkasilta("lesson", "new", "--course", "RUB14", "--title", "Nyheter", "--data", str(data))
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


def test_lessons_and_tokens_are_made_in_the_data_folder(tmp_path: Path) -> None:
    lesson = new_lesson(tmp_path)
    listed = luokkasilta("lesson", "list", "--data", str(tmp_path))
    assert listed.stdout == f"{lesson}\twaiting\tRUB14\tNyheter\n"
    made = luokkasilta(
        "token",
        "--lesson",
        lesson,
        "--role",
        "school",
        "--site",
        "Iisalmi",
        "--ttl",
        "90s",
        "--data",
        str(tmp_path),
    )
    assert made.stderr == ""
    now = 0.0
    admitted = Tokens(load_key(tmp_path)).check(made.stdout.strip(), now)
    assert (admitted.lesson, admitted.role, admitted.site) == (lesson, "school", "Iisalmi")
    assert luokkasilta("lesson", "end", lesson, "--data", str(tmp_path)).returncode == 0
    again = luokkasilta("lesson", "end", lesson, "--data", str(tmp_path))
    assert again.returncode == 1
    assert "lesson-ended" in again.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["dance"],
        ["serve", "--colour", "red"],
        ["serve", "--http", "8080"],
        ["serve", "--http", "127.0.0.1:99999"],
        ["serve", "--announce", "here"],
        ["lesson"],
        ["lesson", "new", "--course", "RUB14"],
        ["token", "--lesson", "abc", "--role", "king", "--site", "Iisalmi"],
        ["token", "--lesson", "abc", "--role", "home", "--site", "Iisalmi", "--ttl", "soon"],
    ],
)
def test_misuse_is_one_line(arguments: list[str]) -> None:
    done = luokkasilta(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1


def test_what_cannot_be_done_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    unreachable = luokkasilta("lesson", "list", "--data", str(tmp_path / "file" / "data"))
    unknown = luokkasilta(
        "token", "--lesson", "nowhere", "--role", "home", "--site", "Vieremä", "--data", str(tmp_path)
    )
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        used = luokkasilta("serve", "--http", address, "--media", "127.0.0.1:0", "--data", str(tmp_path))
    for done, code in [
        (unreachable, "storage-unreachable"),
        (unknown, "lesson-unknown"),
        (used, "http-unavailable"),
    ]:
        assert (done.returncode, done.stdout) == (1, "")
        last = done.stderr.splitlines()[-1]
        assert last.startswith("luokkasilta: ")
        assert code in last
        assert "Traceback" not in done.stderr


def test_a_media_port_in_use_is_one_line(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = luokkasilta("serve", "--http", "127.0.0.1:0", "--media", address, "--data", str(tmp_path))
    assert done.returncode == 1
    assert "media-unavailable" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_serve_says_where_it_listens_and_stops_when_told(tmp_path: Path, how: signal.Signals) -> None:
    command = [sys.executable, "-m", "bridge.cli", "serve", "--http", "127.0.0.1:0", "--media", "127.0.0.1:0"]
    with subprocess.Popen(
        [*command, "--data", str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            url = next(word for word in line.split() if word.startswith("http://"))
            with urllib.request.urlopen(f"{url}/healthz", timeout=PATIENCE_S) as response:
                assert response.status == 200
            process.send_signal(how)
            _, errors = process.communicate(timeout=PATIENCE_S)
        finally:
            process.kill()
    assert process.returncode == 0
    assert "Traceback" not in errors


def test_durations() -> None:
    assert [parse_duration(text) for text in ("90", "90s", "15m", "12h", "7d")] == [
        90,
        90,
        900,
        43_200,
        604_800,
    ]
    for text in ("", "0", "-1", "1w", "1.5h", "٣s", "9" * 12):
        with pytest.raises(ValueError, match="not a time"):
            parse_duration(text)
