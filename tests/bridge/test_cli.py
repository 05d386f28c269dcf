"""The command ``luokkasilta`` as a process: what it prints, how it ends, one clear line for every misuse."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bridge.cli import parse_duration
from bridge.values import Role
from signalling.tokens import Tokens, load_key

PATIENCE_S = 60.0


def luokkasilta(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bridge.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)


def said(*arguments: str | Path) -> str:
    """What a command prints that is met."""
    done = luokkasilta(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def complaint(code: int, *arguments: str | Path) -> str:
    """The one line that a command ends with that is not met."""
    done = luokkasilta(*arguments)
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("luokkasilta")
    return done.stderr


def test_a_lesson_is_open_at_once_and_ends(tmp_path: Path) -> None:
    lesson = said("lesson", "new", "--data", tmp_path).strip()
    assert re.fullmatch(r"[a-z0-9]{12}", lesson)
    assert said("lesson", "list", "--data", tmp_path) == f"{lesson}\tlive\tTRIAL\tLesson\n"
    assert said("lesson", "end", "--data", tmp_path, "--id", lesson) == ""
    assert said("lesson", "list", "--data", tmp_path) == f"{lesson}\tended\tTRIAL\tLesson\n"
    assert "(lesson-ended)" in complaint(1, "lesson", "end", "--data", tmp_path, "--id", lesson)


def test_a_lesson_as_it_is_wanted(tmp_path: Path) -> None:
    wanted = ("--id", "rub14-Autumn_2", "--course", "RUB14", "--title", "Nyheter", "--waiting")
    assert said("lesson", "new", "--data", tmp_path, *wanted) == "rub14-Autumn_2\n"
    said("lesson", "new", "--data", tmp_path, "--id", "other")
    line = "rub14-Autumn_2\twaiting\tRUB14\tNyheter\n"
    assert said("lesson", "list", "--data", tmp_path, "--id", "rub14-Autumn_2") == line
    taken = complaint(1, "lesson", "new", "--data", tmp_path, "--id", "rub14-Autumn_2")
    assert "rub14-Autumn_2" in taken
    assert "(lesson-taken)" in taken
    assert said("lesson", "list", "--data", tmp_path).startswith(line), "the first is as it was"


def test_a_token_is_printed_alone(tmp_path: Path) -> None:
    said("lesson", "new", "--data", tmp_path, "--id", "abc")
    of = ("token", "--data", tmp_path, "--lesson", "abc", "--role")
    tokens = Tokens(load_key(tmp_path))
    admitted = tokens.check(said(*of, "school", "--site", "Iisalmi", "--room", "204").strip(), now=0.0)
    assert (admitted.lesson, admitted.role, admitted.site, admitted.room) == (
        "abc",
        Role.SCHOOL,
        "Iisalmi",
        "204",
    )
    unnamed = [tokens.check(said(*of, "school").strip(), now=0.0).site for _ in range(2)]
    assert unnamed[0] != unnamed[1], "two schools without a name are not one room"
    assert all(re.fullmatch(r"School [0-9a-f]{4}", site) for site in unnamed)


def test_a_token_lives_as_long_as_it_was_said(tmp_path: Path) -> None:
    said("lesson", "new", "--data", tmp_path, "--id", "abc")
    before = time.time()
    text = said("token", "--data", tmp_path, "--lesson", "abc", "--role", "home", "--ttl", "15m").strip()
    expires_at = Tokens(load_key(tmp_path)).check(text, now=0.0).expires_at
    assert before + 899 <= expires_at <= time.time() + 900


def test_an_operators_token(tmp_path: Path) -> None:
    text = said("token", "--operator", "--data", tmp_path).strip()
    Tokens(load_key(tmp_path)).check_operator(text, now=0.0)
    assert "--operator goes without" in complaint(
        2, "token", "--operator", "--lesson", "abc", "--data", tmp_path
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "required: COMMAND"),
        (["dance"], "dance"),
        (["serve", "--colour", "red"], "--colour"),
        (["serve", "--htt", "127.0.0.1:0"], "--htt"),
        (["serve", "--http", "8080"], "'8080' is not an address"),
        (["serve", "--http", "127.0.0.1:99999"], "99999"),
        (["serve", "--http", "::1:8080"], "::1"),
        (["serve", "--media", "localhost:10000"], "localhost"),
        (["serve", "--announce", "here"], "'here' is not an IP address"),
        (["serve", "--announce", "192.0.2.1:0"], "192.0.2.1:0"),
        (["serve", "--certificate", "a.pem"], "--key go together"),
        (["lesson"], "new|list|end"),
        (["lesson", "end"], "--id"),
        (["lesson", "new", "--id", "../up"], "'../up' is not a lesson id"),
        (["lesson", "new", "--id", "x" * 33], "is not a lesson id"),
        (["lesson", "new", "--id", ""], "'' is not a lesson id"),
        (["lesson", "new", "--title", "\n"], "title"),
        (["token", "--role", "home"], "--lesson"),
        (["token", "--lesson", "abc", "--role", "king"], "king"),
        (["token", "--lesson", "abc", "--role", "home", "--ttl", "soon"], "'soon' is not a time"),
        (["token", "--lesson", "abc", "--role", "home", "--ttl", "0"], "'0' is not a time"),
        (["recording"], "--id"),
    ],
)
def test_misuse_is_one_line(tmp_path: Path, arguments: list[str], words: str) -> None:
    verb = next((each for each in arguments if each in {"serve", "token", "new"}), None)
    assert words in complaint(2, *arguments, *(("--data", tmp_path) if verb else ()))


def test_a_folder_that_cannot_be_reached_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    data = ("--data", tmp_path / "file" / "data")
    assert "(storage-unreachable)" in complaint(1, "lesson", "list", *data)
    assert "(storage-unreachable)" in complaint(1, "lesson", "new", *data)
    assert "(storage-unreachable)" in complaint(1, "token", "--lesson", "abc", "--role", "home", *data)
    assert "(key-unreachable)" in complaint(1, "token", "--operator", *data)
    assert "(key-unreachable)" in complaint(1, "serve", "--http", "127.0.0.1:0", *data)


def test_an_unknown_lesson_is_one_line(tmp_path: Path) -> None:
    for arguments in (
        ("token", "--lesson", "nowhere", "--role", "home"),
        ("lesson", "end", "--id", "nowhere"),
        ("lesson", "list", "--id", "nowhere"),
    ):
        assert "(lesson-unknown)" in complaint(1, *arguments, "--data", tmp_path)


def test_a_lesson_without_a_recording_is_one_line(tmp_path: Path) -> None:
    said("lesson", "new", "--data", tmp_path, "--id", "abc", "--record")
    assert "(recording-unknown)" in complaint(1, "recording", "--data", tmp_path, "--id", "abc")
    raw = tmp_path / "recordings" / "abc"
    raw.mkdir(parents=True)
    (raw / "20261124T120000.000000Z-x-camera.part").write_bytes(b"no recording at all" * 100)
    assert "(recording-failed)" in complaint(1, "recording", "--data", tmp_path, "--id", "abc")


def last_line(*arguments: str | Path) -> str:
    """Of a server that does not start, which may have logged before."""
    done = luokkasilta("serve", *arguments)
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr.splitlines()[-1]


def test_ports_in_use_are_one_line(tmp_path: Path) -> None:
    data = ("--data", tmp_path)
    with socket.socket() as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        tcp.bind(("127.0.0.1", 0))
        tcp.listen()
        udp.bind(("127.0.0.1", 0))
        http = f"127.0.0.1:{tcp.getsockname()[1]}"
        media = f"127.0.0.1:{udp.getsockname()[1]}"
        line = last_line("--http", http, "--media", "127.0.0.1:0", *data)
        assert http in line
        assert "(http-unavailable)" in line
        assert "(media-unavailable)" in last_line("--http", "127.0.0.1:0", "--media", media, *data)


def test_beyond_this_machine_there_is_no_plain_http(tmp_path: Path) -> None:
    line = complaint(1, "serve", "--http", "0.0.0.0:0", "--data", tmp_path)
    assert "https" in line
    assert "--certificate" in line
    assert "--behind-proxy" in line
    assert "(http-insecure)" in line
    assert "(http-insecure)" in complaint(1, "demo", "--http", "0.0.0.0:0", "--data", tmp_path)


@pytest.mark.parametrize("contents", [None, "not a certificate"])
def test_a_certificate_that_cannot_be_used_is_one_line(tmp_path: Path, contents: str | None) -> None:
    files = tmp_path / "certificate.pem", tmp_path / "key.pem"
    if contents is not None:
        for file in files:
            file.write_text(contents)
    arguments = ("--http", "0.0.0.0:0", "--certificate", files[0], "--key", files[1])
    line = complaint(1, "serve", *arguments, "--data", tmp_path)
    assert str(files[0]) in line
    assert "(certificate-unusable)" in line


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[http]\ncolour = 1", "unknown key http.colour"),
        ("http = ", "is not TOML"),
        ("[limits]\nconnections = '1'", "limits.connections: expected `int`, got `str`"),
    ],
)
def test_a_configuration_file_that_is_wrong_is_one_line(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "luokkasilta.toml"
    file.write_text(text)
    line = complaint(1, "serve", "--config", file, "--data", tmp_path)
    assert words in line
    assert str(file) in line


def test_a_configuration_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    assert "(config-unreachable)" in complaint(1, "serve", "--config", tmp_path / "nothing.toml")
    assert "(config-unreachable)" in complaint(1, "demo", "--config", tmp_path)


def test_the_demo_speaks_no_tls(tmp_path: Path) -> None:
    file = tmp_path / "luokkasilta.toml"
    file.write_text("[http]\ncertificate = 'a'\nkey = 'b'")
    assert "(demo-without-tls)" in complaint(1, "demo", "--config", file, "--data", tmp_path)


def test_a_reader_that_goes_away_is_no_fault(tmp_path: Path) -> None:
    for number in range(3):
        said("lesson", "new", "--data", tmp_path, "--id", f"n{number}")
    command = [sys.executable, "-m", "bridge.cli", "lesson", "list", "--data", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        complaints = process.stderr.read()
        assert process.wait(timeout=PATIENCE_S) == 1
    assert complaints == ""


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
