"""The composition: streams, sessions, the media port and the program itself.

    Source > Stream > Egress > Viewer > MediaPort > browser        one picture
    browser > Session > Controller > phone                         one touch

`app` wires the graph and is the only place that does. A **stream** is one source shared by its viewers, a **viewer**
is one receiver with its own RTP numbering, a **session** is what signaling knows about that viewer.
"""

from importlib.metadata import version

__version__ = version("media-service")
