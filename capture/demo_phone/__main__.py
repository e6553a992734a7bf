"""`python -m capture.demo_phone`: one demo phone in a process of its own, until SIGINT or SIGTERM.

When adb can connect, it prints one line that ends with the phone's address, as `demo phone at 127.0.0.1:5555`.
"""

import argparse
import asyncio
import re
import signal
import sys
from collections.abc import Sequence

from capture.demo_phone.by_hand import by_hand
from capture.demo_phone.farm import DemoPhone, run_demo_phones
from capture.demo_phone.phone import PhoneSpec


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text, re.ASCII)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size: write it as 720x1280")
    return int(match[1]), int(match[2])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m capture.demo_phone",
        description="An Android phone for adb, emulated.",
        epilog=by_hand(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=0, help="the TCP port to listen on; 0 (default): a free one")
    parser.add_argument("--size", type=_size, default=(720, 1280), metavar="WxH", help="the screen (720x1280)")
    parser.add_argument("--frame-rate", type=int, default=30, metavar="N", help="pictures per second (%(default)s)")
    parser.add_argument("--name", default="demo", help="its serial number, also shown on its screen (%(default)s)")
    parser.add_argument(
        "--sdk", type=int, default=33, metavar="N", help="Android's API level, as 29 for Android 10 (%(default)s)"
    )
    parser.add_argument(
        "--rotation", type=int, default=0, metavar="N", help="how it is turned, 0 to 3 quarter turns (%(default)s)"
    )
    parser.add_argument("--still", action="store_true", help="the screen changes only when it is touched")
    return parser


def _announce(phones: Sequence[DemoPhone]) -> None:
    for phone in phones:
        sys.stdout.write(f"demo phone at {phone.address}\n")
    sys.stdout.flush()


async def _run(spec: PhoneSpec) -> None:
    loop = asyncio.get_running_loop()
    phones = loop.create_task(run_demo_phones([spec], _announce))
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, phones.cancel)
    await asyncio.wait([phones])
    if not phones.cancelled():
        phones.result()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program with `arguments`, the process's own by default; its exit code."""
    options = _parser().parse_args(arguments)
    width, height = options.size
    spec = PhoneSpec(
        name=options.name,
        host=options.host,
        port=options.port,
        width=width,
        height=height,
        frame_rate=options.frame_rate,
        sdk=options.sdk,
        still=options.still,
        rotation=options.rotation,
    )
    try:
        asyncio.run(_run(spec))
    except (OSError, ValueError, OverflowError) as error:
        sys.stderr.write(f"demo phone: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
