"""Network addresses as configuration and genesis write them: "host:port" or "[v6 address]:port".

Parsed in one place; a host name is looked up only when it is dialled.
"""

from __future__ import annotations


def parse_endpoint(endpoint: str) -> tuple[str, int]:
    """Split an endpoint into host and port; raise `ValueError` with a whole sentence."""
    host, colon, port = endpoint.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        host = ""
    is_port = port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65_535
    if not (colon and host and is_port):
        raise ValueError(f'expected "host:port" or "[address]:port", found "{endpoint}"')
    return host, int(port)
