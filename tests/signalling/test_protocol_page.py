"""PROTOCOL.md and the code say the same: its tables are read and compared."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from bridge.errors import ErrorCode
from signalling import messages as m

PAGE = (Path(m.__file__).parent / "PROTOCOL.md").read_text(encoding="utf-8")


def rows(section: str) -> dict[str, list[str]]:
    """The rows of a section's table, by what stands in back-ticks in the first cell."""
    body = PAGE.split(f"\n## {section}")[1].split("\n## ")[0]
    found = {}
    for line in body.splitlines():
        if line.startswith("| `"):
            name, *cells = (cell.strip() for cell in line.strip("|").split("|"))
            found[name.strip("` ")] = cells
    return found


def structs(base: type[msgspec.Struct]) -> dict[str, type[msgspec.Struct]]:
    return {str(struct.__struct_config__.tag): struct for struct in base.__subclasses__()}


def fields_said(cell: str) -> set[str]:
    """The names in back-ticks outside of parentheses and braces: the fields themselves."""
    flat = cell
    while (shorter := re.sub(r"\([^()]*\)|\{[^{}]*\}", "", flat)) != flat:
        flat = shorter
    return set(re.findall(r"`(\w+)`", flat.split(":")[0]))


@pytest.mark.parametrize(("section", "base"), [("3.", m.ClientMessage), ("4.", m.ServerMessage)])
def test_every_message_is_in_the_table_with_its_fields(section: str, base: type[msgspec.Struct]) -> None:
    said, known = rows(section), structs(base)
    assert said.keys() == known.keys()
    common = {field.name for field in msgspec.structs.fields(base)}
    for name, struct in known.items():
        own = {field.encode_name for field in msgspec.structs.fields(struct)} - common
        if name == "done":
            assert own == set()
            continue
        assert fields_said(said[name][0]) == own, name


def test_every_error_code_is_in_the_table_and_fatal_as_it_says() -> None:
    said = rows("6.")
    assert said.keys() == {code.value for code in ErrorCode}
    for code in ErrorCode:
        assert said[code.value][0].startswith("yes") is code.fatal, code


def test_the_limits_said_are_the_limits_kept() -> None:
    assert f"at most {m.MESSAGE_MAX // 1024} KiB" in PAGE
    assert f"at most {m.LABEL_MAX} characters" in PAGE
    assert f"1 to {m.HEADCOUNT_MAX}" in PAGE
    assert f"at most {m.OFFER_MAX:,} characters" in PAGE
    assert f"protocol, version {m.VERSION}" in PAGE
