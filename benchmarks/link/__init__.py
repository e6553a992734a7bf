"""A link that is bad on purpose, between two network namespaces of this machine, in user space.

    with namespace("server") as server, namespace("client") as client, link(server, client) as bad:
        moment = bad.change(Impairment(delay=0.05, loss=0.02), Impairment(delay=0.05, loss=0.02))

What happens to a packet is in `impairment`, which is pure; `emulator` is the process that carries the packets, and
`forwarder` a way around the link for what is not to suffer. Root is needed, and nothing of the kernel but TUN devices.
"""

from benchmarks.link.forwarder import forwarded
from benchmarks.link.impairment import Counts, Impairment, queue_bytes
from benchmarks.link.link import Link, Moment, link
from benchmarks.link.namespace import Namespace, NoNamespaces, namespace

__all__ = [
    "Counts",
    "Impairment",
    "Link",
    "Moment",
    "Namespace",
    "NoNamespaces",
    "forwarded",
    "link",
    "namespace",
    "queue_bytes",
]
