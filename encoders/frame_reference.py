"""One raw picture for many encoders: each sets times and picture type of a frame of its own, all share the pixels."""

from fractions import Fraction

import av
from av.filter import Graph


class FrameReferences:
    """Makes frames that show another frame's pixels without copying them. To be used from one thread at a time.

    PyAV has no call for this (`av_frame_ref`); a filter graph without a filter does it for 3 us, where a copy of
    720x1280 takes 500. The frame that is given is only read, so that several threads may refer to it at once.
    """

    def __init__(self) -> None:
        self._graph: _ReferenceGraph | None = None

    def refer(self, frame: av.VideoFrame) -> av.VideoFrame:
        """A frame of the same pixels, whose other attributes may be set. Raises `av.FFmpegError`."""
        if self._graph is None or not self._graph.takes(frame):
            self._graph = _ReferenceGraph(frame)
        return self._graph.refer(frame)


class _ReferenceGraph:
    """For frames of one size and pixel format."""

    def __init__(self, frame: av.VideoFrame) -> None:
        self._width, self._height, self._pixel_format = frame.width, frame.height, frame.format.name
        self._graph = Graph()  # Its ends do not keep it alive.
        self._graph.threads = 1
        self._source = self._graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 1000)
        )
        self._sink = self._graph.add("buffersink")
        self._source.link_to(self._sink)
        self._graph.configure()

    def takes(self, frame: av.VideoFrame) -> bool:
        return (frame.width, frame.height, frame.format.name) == (self._width, self._height, self._pixel_format)

    def refer(self, frame: av.VideoFrame) -> av.VideoFrame:
        self._source.push(frame)
        reference = self._sink.pull()
        assert isinstance(reference, av.VideoFrame), "a video graph gives video frames"
        return reference
