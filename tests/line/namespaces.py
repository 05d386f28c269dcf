"""Network namespaces that live as long as the test that made them.

Each is held by a process that waits for the end of its input, a pipe of ours: when we end, however that
happens, it ends too, and the kernel removes the namespace and its devices with the last process in it.
Nothing has a name that could stay behind.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import shutil
import socket
import threading
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

TUN = Path("/dev/net/tun")
_CLONE_NEWNET = 0x40000000
_READY_S = 20.0
_TOOLS = ("ip", "unshare", "nsenter", "cat")
_NO_IPV6 = "/proc/sys/net/ipv6/conf/default/disable_ipv6"
"""For devices to come: what IPv6 says by itself on a new one would take part in the seeded loss."""
_CAP_SYS_ADMIN, _CAP_NET_ADMIN = 21, 12


def why_not() -> str | None:
    """Why this machine can't have namespaces joined by lines; ``None`` when it can."""
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if missing:
        return f"{', '.join(missing)} not installed (Debian: iproute2, util-linux)"
    if not os.access(TUN, os.R_OK | os.W_OK):
        return f"no permission for {TUN}"
    status = Path("/proc/self/status").read_text()
    capabilities = int(next(line for line in status.splitlines() if line.startswith("CapEff")).split()[1], 16)
    if not (capabilities >> _CAP_SYS_ADMIN & 1 and capabilities >> _CAP_NET_ADMIN & 1):
        return "no permission for network namespaces: needs CAP_SYS_ADMIN and CAP_NET_ADMIN"
    return None


@dataclass(frozen=True, slots=True)
class Namespace:
    """A network namespace; ``pid`` is the process that holds it."""

    pid: int

    @property
    def path(self) -> str:
        return f"/proc/{self.pid}/ns/net"

    def command(self, *arguments: str) -> tuple[str, ...]:
        """The same command, but in here; it is executed in place, so its process id is the one you get."""
        return ("nsenter", f"--net={self.path}", "--", *arguments)

    async def run(self, *arguments: str) -> str:
        """Run to the end and give what it printed. Raises RuntimeError with what it complained of."""
        process = await asyncio.create_subprocess_exec(
            *self.command(*arguments), stdin=DEVNULL, stdout=PIPE, stderr=PIPE
        )
        said, complaint = await process.communicate()
        if process.returncode != 0:
            raise RuntimeError(f"{' '.join(arguments)}: {complaint.decode().strip()}")
        return said.decode()

    def socket(self, family: int = socket.AF_INET, kind: int = socket.SOCK_STREAM) -> socket.socket:
        """A socket that lives in here, for a caller who doesn't."""
        made: list[socket.socket | OSError] = []

        # In a thread of its own, which alone changes its namespace, and ends.
        def make() -> None:
            try:
                enter(self.path)
                made.append(socket.socket(family, kind))
            except OSError as error:
                made.append(error)

        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        if isinstance(made[0], OSError):
            raise made[0]
        return made[0]


def enter(path: str) -> None:
    """Move the calling thread into the namespace at ``path``. Raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if libc.setns(descriptor, _CLONE_NEWNET) != 0:
            error = ctypes.get_errno()
            raise OSError(error, f"setns to {path}: {os.strerror(error)}")
    finally:
        os.close(descriptor)


@asynccontextmanager
async def new_namespace() -> AsyncIterator[Namespace]:
    """A namespace with loopback up and nothing else. Raises RuntimeError where it can't be made."""
    holder = await asyncio.create_subprocess_exec(
        "unshare", "--net", "cat", stdin=PIPE, stdout=PIPE, stderr=PIPE
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    try:
        # What comes back through cat says that it runs, in its own namespace.
        holder.stdin.write(b"here\n")
        async with asyncio.timeout(_READY_S):
            if await holder.stdout.readline() != b"here\n":
                raise RuntimeError(f"no namespace: {(await holder.communicate())[1].decode().strip()}")
        namespace = Namespace(holder.pid)
        await namespace.run("sh", "-c", f"echo 1 > {_NO_IPV6}")
        await namespace.run("ip", "link", "set", "lo", "up")
        yield namespace
    finally:
        holder.stdin.close()
        try:
            async with asyncio.timeout(_READY_S):
                await holder.wait()
        except TimeoutError:
            holder.kill()
            await holder.wait()
