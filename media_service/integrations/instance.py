"""Who this process is to others."""

from dataclasses import dataclass

from capture.adb.address import in_url


@dataclass(frozen=True, slots=True)
class Instance:
    """One running service among those of its name."""

    service_name: str
    host: str
    """Where others reach it: an IP address or a host name."""
    port: int

    @property
    def instance_id(self) -> str:
        """`<SERVICE_NAME>-<SERVICE_HOST>-<PORT>`."""
        return f"{self.service_name}-{self.host}-{self.port}"

    @property
    def address(self) -> str:
        """`host:port`, IPv6 in brackets (RFC 3986 section 3.2.2)."""
        return f"{in_url(self.host)}:{self.port}"
