"""The wheel holds all that the program needs.

The other tests run from the checkout, where a file that was left out of the wheel is there all the same.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from this tree; Rust's part is what the extension was built to already."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "maturin", "build", "--release", "--locked", "--quiet"]
    subprocess.run([*command, "--interpreter", sys.executable, "--out", str(folder)], cwd=ROOT, check=True)
    (built,) = folder.glob("luokkasilta-*.whl")
    return built


@pytest.fixture(scope="module")
def command(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command ``luokkasilta``, from the wheel, in an environment of its own."""
    place = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True)
    python = place / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    subprocess.run([*install, "--no-deps", "--no-index", str(wheel)], check=True)
    # The dependencies come from where the tests run: after its own packages, and without the editable
    # install there, since .pth files are not read in a folder that a .pth file names.
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = place / "lib" / version / "site-packages"
    (packages / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return place / "bin" / "luokkasilta"


def clean_environment() -> dict[str, str]:
    unwanted = ("PYTHON", "VIRTUAL_ENV")
    return {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}


def run_outside(folder: Path, *command: str) -> str:
    """What ``command`` prints, run in ``folder``. Raises CalledProcessError."""
    environment = clean_environment()
    done = subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout


@contextmanager
def serving(command: Path, folder: Path) -> Iterator[str]:
    """Run ``serve`` outside the checkout and give its address."""
    arguments = ["serve", "--http", "127.0.0.1:0", "--media", "127.0.0.1:0", "--data", str(folder / "data")]
    log = folder / "server.log"
    with log.open("wb") as complaints:
        process = subprocess.Popen(
            [str(command), *arguments],
            cwd=folder,
            env=clean_environment(),
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
        )
        with process:
            try:
                assert process.stdout is not None
                line = process.stdout.readline()
                match = re.search(r"http://\S+", line)
                assert match, f"no address in {line!r}:\n{log.read_text()}"
                yield match[0]
            finally:
                process.terminate()
                process.wait(timeout=15)
    assert process.returncode == 0, log.read_text()


def fetch(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        assert answer.status == 200
        content: bytes = answer.read()
        return content.decode()


def test_holds_program_pages_and_extension_and_no_sources_of_rust(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert any(re.fullmatch(r"media/_engine\.[^/]*\.so", name) for name in names)
    for wanted in (
        "bridge/cli.py",
        "signalling/http.py",
        "signalling/static/index.html",
        "media/service.py",
        "media/_engine.pyi",
        "media/synthetic/speech.ogg",
    ):
        assert wanted in names
    assert any(re.fullmatch(r"signalling/static/assets/.*\.js", name) for name in names)
    assert not [name for name in names if name.startswith(("media/rust", "tests/", "web/", "deploy/"))]
    assert any(name.endswith("/licenses/LICENSE") for name in names)


def test_command_says_how_it_is_used(command: Path, tmp_path: Path) -> None:
    said = run_outside(tmp_path, str(command), "--help")
    assert "serve" in said
    assert "demo" in said


def test_serves_the_pages_it_holds(command: Path, tmp_path: Path) -> None:
    with serving(command, tmp_path) as address:
        page = fetch(f"{address}/kiosk")
        scripts = re.findall(r'src="(/assets/[^"]+\.js)"', page)
        assert scripts
        assert len(fetch(address + scripts[0])) > 10_000


def test_speaks_from_the_wheel(command: Path, tmp_path: Path) -> None:
    """The synthetic classroom's speech is data beside its code; it must have come along."""
    script = (
        "import media, media.synthetic.tracks as tracks; print(media.__file__, len(tracks.read_speech()))"
    )
    said = run_outside(tmp_path, str(command.with_name("python")), "-c", script).split()
    assert Path(said[0]).is_relative_to(command.parents[1])
    assert int(said[1]) > 20 * 48_000
