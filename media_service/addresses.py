"""Where this machine reaches itself. Pure."""

from capture.adb.address import in_url


def own_address(host: str, port: int) -> str:
    """Where this machine reaches what listens on `host`, which may be all of its addresses."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://{in_url(host)}:{port}"
