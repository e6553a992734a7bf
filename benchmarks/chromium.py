"""The browser that tests and benchmarks drive, and how it is started."""

import shutil

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

ARGUMENTS = (
    "--autoplay-policy=no-user-gesture-required",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--no-sandbox",
    "--disable-gpu",
    # Chromium leaves loopback out of ICE, and a test machine may have no other address.
    "--allow-loopback-in-peer-connection",
)


def find() -> str | None:
    """The first one on the `PATH`."""
    return next(filter(None, map(shutil.which, NAMES)), None)
