"""Addresses in URLs. Pure."""


def in_url(host: str) -> str:
    """`host` as it stands in a URL (RFC 3986 section 3.2.2)."""
    return f"[{host}]" if ":" in host else host


def own_address(host: str, port: int) -> str:
    """Where this machine reaches what listens on `host`, which may be all of its addresses."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://{in_url(host)}:{port}"
