"""Ports of this machine, on which a server can listen."""

import errno
import socket

from src.errors import UserError


def check_port(host: str, port: int, other: int, remedy: str) -> None:
    """Raise UserError unless a server can listen on the port.

    Args:
        host: the address of an interface, such as 127.0.0.1.
        port: from 1 to 65535.
        other: the port to name in the message if no neighbor of this one can be used.
        remedy: how another port is chosen; `{port}` is replaced with it.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            is_taken = error.errno == errno.EADDRINUSE
            reason = "is taken, perhaps by another server" if is_taken else f"cannot be used ({error.strerror})"
            free = port + 1 if 1024 <= port < 65535 else other
            raise UserError(f"port {port} {reason}; choose another: {remedy.format(port=free)}") from error
