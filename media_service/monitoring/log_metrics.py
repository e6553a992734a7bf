"""What Prometheus is told of the log."""

import logging
from collections import Counter
from collections.abc import Iterator

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from media_service.log_file import LogFileHandler
from media_service.monitoring.metric_families import by, counters


class LogCollector(Collector):
    """Reads what writes the log file when Prometheus asks."""

    def collect(self) -> Iterator[Metric]:
        drops = Counter({"unwritable": 0, "queue_full": 0})
        for handler in logging.getLogger().handlers:
            if isinstance(handler, LogFileHandler):
                drops.update(handler.drops)
        yield counters("log_lines_dropped", "Lines that are not in the log file, by reason.", ("reason",), by(drops))
