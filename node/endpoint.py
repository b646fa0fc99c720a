"""Network addresses as configuration and genesis write them: "host:port" or "[v6 address]:port".

Parsed in one place; a host name is looked up only when it is dialled.
"""

from __future__ import annotations


class BadEndpoint(ValueError):
    """An address is none; says so in English and in Chinese."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(f'expected "host:port" or "[address]:port", found "{endpoint}"')
        self.detail_zh = f'应为 "主机:端口" 或 "[地址]:端口"，而不是 "{endpoint}"'


def parse_endpoint(endpoint: str) -> tuple[str, int]:
    """Split an endpoint into host and port; raise `BadEndpoint`."""
    host, colon, port = endpoint.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        host = ""
    is_port = port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65_535
    if not (colon and host and is_port):
        raise BadEndpoint(endpoint)
    return host, int(port)
