"""The link with real sockets in real namespaces; `test_impairment.py` has what happens to packets."""

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from benchmarks.far_end import Ends
from benchmarks.link import Impairment, forwarded, namespace

NAMESPACES = Path("/run/netns")
LEAVE_ONE_BEHIND = """
import os, signal, subprocess
from benchmarks.link import namespace
with namespace("lost") as lost:
    left = subprocess.Popen(lost.command(["sleep", "600"]), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    print(lost.name, left.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def sockets(both_ends: Ends) -> Iterator[tuple[socket.socket, socket.socket]]:
    """A UDP socket at each end, the server's first; the link has no faults."""
    both_ends.link.change(Impairment())
    link = both_ends.link
    with ExitStack() as stack:
        made = []
        for inside, address in ((both_ends.server, link.server_address), (both_ends.client, link.client_address)):
            with inside.entered():
                opened = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            opened.settimeout(10)
            opened.bind((address, 0))
            made.append(opened)
        yield made[0], made[1]
    link.change(Impairment())


def test_packets_take_their_time_in_both_directions(
    both_ends: Ends, sockets: tuple[socket.socket, socket.socket]
) -> None:
    server, client = sockets
    both_ends.link.change(Impairment(delay=0.03), Impairment(delay=0.04))
    begin = time.monotonic()
    server.sendto(b"there", client.getsockname())
    assert client.recv(100) == b"there"
    assert time.monotonic() - begin >= 0.03
    client.sendto(b"and back", server.getsockname())
    assert server.recv(100) == b"and back"
    assert time.monotonic() - begin >= 0.07


def test_a_change_holds_from_the_moment_that_is_told(
    both_ends: Ends, sockets: tuple[socket.socket, socket.socket]
) -> None:
    server, client = sockets
    before = time.monotonic(), time.time()
    changed = both_ends.link.change(Impairment(loss=0.999999), Impairment())
    assert before[0] <= changed.moment <= time.monotonic()
    assert before[1] - 1 <= changed.time <= time.time() + 1
    for _ in range(20):
        server.sendto(b"lost", client.getsockname())
    restored = both_ends.link.change(Impairment())
    while restored.down.packets - changed.down.packets < 20:
        restored = both_ends.link.look()
    server.sendto(b"arrives", client.getsockname())
    first = client.recv(100)
    lost = both_ends.link.look().down.since(changed.down).lost
    # Those that the emulator had not read when the link was restored arrive.
    assert first in (b"lost", b"arrives")
    assert lost > 0


def test_what_a_slow_line_cannot_take_is_dropped_and_counted(
    both_ends: Ends, sockets: tuple[socket.socket, socket.socket]
) -> None:
    server, client = sockets
    before = both_ends.link.change(Impairment(bit_rate=1_000_000, queue=5_000), Impairment())
    for _ in range(50):
        server.sendto(bytes(972), client.getsockname())
    now = both_ends.link.look()
    while now.down.since(before.down).packets < 50:
        now = both_ends.link.look()
    dropped = now.down.since(before.down).dropped
    assert 0 < dropped < 50
    for _ in range(50 - dropped):
        assert len(client.recv(2000)) == 972


async def test_the_forwarder_leads_around_the_link(both_ends: Ends) -> None:
    async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.read()).upper())
        await writer.drain()
        writer.close()

    before = both_ends.link.look()
    server = await asyncio.start_server(shout, sock=both_ends.server.listen(45678))
    async with server, forwarded(45678, both_ends.server, both_ends.client):
        connecting = both_ends.client.socket()
        connecting.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connecting, ("127.0.0.1", 45678))
        reader, writer = await asyncio.open_connection(sock=connecting)
        writer.write(b"hello")
        writer.write_eof()
        assert await reader.read() == b"HELLO"
        writer.close()
        await writer.wait_closed()
    assert both_ends.link.look().up.packets == before.up.packets


def test_a_namespace_is_gone_after_its_block(both_ends: Ends) -> None:
    assert (NAMESPACES / both_ends.server.name).exists()
    with namespace("short") as short:
        sleeping = subprocess.Popen(short.command(["sleep", "600"]))
        assert (NAMESPACES / short.name).exists()
        with short.entered():
            assert [name for _, name in socket.if_nameindex()] == ["lo"]
        assert len(socket.if_nameindex()) >= 1
    assert sleeping.wait(10) == -9
    assert not (NAMESPACES / short.name).exists()


def test_what_a_killed_run_left_is_removed_by_the_next(both_ends: Ends) -> None:
    killed = subprocess.run([sys.executable, "-c", LEAVE_ONE_BEHIND], capture_output=True, text=True, check=False)
    name, left = killed.stdout.split()
    assert killed.returncode == -9
    assert (NAMESPACES / name).exists()
    with namespace("next"):
        assert not (NAMESPACES / name).exists()
        assert (NAMESPACES / both_ends.server.name).exists(), "that run is not over"
    _wait_until_gone(int(left))


def _wait_until_gone(process_id: int) -> None:
    """It is nobody's child here; init reaps it."""
    end = time.monotonic() + 10
    while Path(f"/proc/{process_id}").exists() and "\nState:\tZ" not in Path(f"/proc/{process_id}/status").read_text():
        assert time.monotonic() < end
        time.sleep(0.01)
