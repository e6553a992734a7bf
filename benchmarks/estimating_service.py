"""The service with a stated way to estimate paths, which is no setting of its own.

python -m benchmarks.estimating_service gcc | remb | none [--source NAME=URI]...
"""

import argparse
import sys
from typing import Final

import uvloop

from media_service import configuration, log
from media_service.app import run
from media_service.rtc.estimation import NONE, RECEIVE_SIDE, SEND_SIDE

ESTIMATIONS: Final = {"gcc": SEND_SIDE, "remb": RECEIVE_SIDE, "none": NONE}


def main() -> None:
    """Run until SIGTERM, by the environment's settings."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.estimating_service")
    parser.add_argument("estimation", choices=ESTIMATIONS)
    parser.add_argument("--source", action="append", default=[], metavar="NAME=URI")
    options = parser.parse_args()
    settings = configuration.load().settings
    log.configure(settings.log_level, service_name=settings.service_name, stream=sys.stderr)
    sources = dict(each.split("=", 1) for each in options.source)
    uvloop.run(run(settings, sources=sources, demo=False, estimation=ESTIMATIONS[options.estimation]))


if __name__ == "__main__":
    main()
