"""The dependency rule of ARCHITECTURE.md, read from the imports: an arrow that turns fails here."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import aiortc
import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("bridge", "signalling", "media")
COMPOSITION = "bridge/program.py"
SHARED_WITH_MEDIA = frozenset({"bridge.values", "bridge.ports"})
DTLS = "media/dtls.py"
ENGINE = "media/engine.py"


def imports(tree: ast.AST, file: str) -> Iterator[str]:
    """Every module that a file names in an import, at any depth; ``from a import b`` gives a and a.b."""
    package = file.removesuffix(".py").split("/")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def within(module: str, *names: str) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in names)


def private_names_of_aiortc(tree: ast.AST, file: str) -> Iterator[str]:
    """Underscored names imported from aiortc, read from a module of it, or overridden in a class of it."""
    known: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and within(node.module or "", "aiortc"):
            known |= {alias.asname or alias.name for alias in node.names}
            yield from (alias.name for alias in node.names if alias.name.startswith("_"))
        elif isinstance(node, ast.Import):
            known |= {(a.asname or a.name).split(".")[0] for a in node.names if within(a.name, "aiortc")}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and private(node.attr) and root_name(node.value) in known:
            yield node.attr
        elif isinstance(node, ast.ClassDef) and any(root_name(base) in known for base in node.bases):
            methods = {f.name for f in node.body if isinstance(f, Functions)}
            yield from methods & privately_defined_in_aiortc()


@cache
def privately_defined_in_aiortc() -> frozenset[str]:
    """A method of the same name in a subclass overrides one that may change without notice."""
    folder = Path(aiortc.__file__).parent
    trees = (ast.parse(path.read_text(encoding="utf-8")) for path in folder.rglob("*.py"))
    names = {node.name for tree in trees for node in ast.walk(tree) if isinstance(node, Functions)}
    return frozenset(name for name in names if private(name))


Functions = ast.FunctionDef | ast.AsyncFunctionDef


def private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def root_name(node: ast.expr) -> str | None:
    while isinstance(node, ast.Attribute | ast.Call | ast.Subscript):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else None


def broken_rules(file: str, source: str) -> list[str]:
    """What a file (its path from the root, with slashes) does against the rule, one line each."""
    tree = ast.parse(source)
    room = file.split("/", maxsplit=1)[0]
    named = sorted(set(imports(tree, file)))
    broken = []
    for module in named:
        if room == "bridge" and within(module, "signalling", "media") and file != COMPOSITION:
            broken.append(f"{file} imports {module}: only {COMPOSITION} may")
        if room == "signalling" and within(module, "media"):
            broken.append(f"{file} imports {module}: signalling knows no media")
        if room == "media" and within(module, "signalling"):
            broken.append(f"{file} imports {module}: media knows no signalling")
        if room == "media" and within(module, "bridge") and not shared(module):
            broken.append(
                f"{file} imports {module}: media takes only {' and '.join(sorted(SHARED_WITH_MEDIA))}"
            )
        if within(module, "media._engine") and file != ENGINE:
            broken.append(f"{file} imports {module}: only {ENGINE} may")
        if within(module, "aiortc.rtcdtlstransport") and file != DTLS:
            broken.append(f"{file} imports {module}: only {DTLS} may")
    if file != DTLS:
        private_names = sorted(set(private_names_of_aiortc(tree, file)))
        broken += [f"{file} uses aiortc's private {name}: only {DTLS} may" for name in private_names]
    return broken


def shared(module: str) -> bool:
    """``from bridge.values import X`` names bridge.values.X too, which is what is meant."""
    return within(module, *SHARED_WITH_MEDIA)


def test_no_arrow_is_turned() -> None:
    files = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
    assert len(files) > 30, "the files were not found"
    broken = [
        line
        for path in files
        for line in broken_rules(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"))
    ]
    assert broken == []


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("bridge/slots.py", "import media.plan"),
        ("bridge/slots.py", "from signalling import messages"),
        ("bridge/cli.py", "def late():\n    from media.service import MediaService"),
        ("signalling/http.py", "from media.service import MediaService"),
        ("signalling/http.py", "import media"),
        ("media/service.py", "from signalling import tokens"),
        ("media/service.py", "from bridge.classroom import Classroom"),
        ("media/service.py", "from bridge import errors"),
        ("media/service.py", "import bridge"),
        ("media/peer.py", "from media import _engine"),
        ("media/peer.py", "from . import _engine"),
        ("media/peer.py", "import media._engine as native"),
        ("media/peer.py", "from aiortc.rtcdtlstransport import RTCDtlsTransport"),
        ("media/sdp.py", "from aiortc import sdp\nsdp._parse('x')"),
        ("media/sdp.py", "import aiortc\naiortc.sdp.SessionDescription.parse('')._hidden"),
        ("media/sdp.py", "from aiortc.sdp import _grouplines"),
        (
            "media/sdp.py",
            "from aiortc import RTCDtlsTransport as D\nclass Ours(D):\n    def _setup_srtp(self): ...",
        ),
    ],
)
def test_a_turned_arrow_is_found(file: str, source: str) -> None:
    assert broken_rules(file, source) != []


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("bridge/program.py", "from media.service import MediaService\nfrom signalling.http import Door"),
        ("bridge/cli.py", "from bridge.program import running"),
        ("signalling/http.py", "from bridge.errors import ErrorCode"),
        ("media/service.py", "from bridge.ports import Admission\nfrom bridge.values import Offer"),
        ("media/engine.py", "from media import _engine"),
        ("media/dtls.py", "from aiortc.rtcdtlstransport import RTCDtlsTransport\nRTCDtlsTransport._setup"),
        ("media/sdp.py", "from aiortc import sdp\nclass Own:\n    def _hidden(self): ...\nOwn()._hidden()"),
    ],
)
def test_an_arrow_in_its_direction_is_left_alone(file: str, source: str) -> None:
    assert broken_rules(file, source) == []
