"""Bad paths between a client and its server: tests/support/bad_path, as the transport needs it."""

import contextlib

from tests.bench import processes

# Where servers of a TUN path listen, and what clients know them by (tests/support/tun_path.h).
TUN_SERVER, TUN_SERVER_SEEN = "198.18.0.1", "198.18.0.2"
FIRST_TUN_PORT = 4000


class Absent(Exception):
    """This machine cannot make such a path; the text is for the user."""


class Direct:
    """No path but the system's own."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    pids = ()

    def uri(self, transport, user):
        """Where a server listens."""
        return transport.uri_for(user)

    def command(self, command):
        """What starts a program on it."""
        return command

    def client_address(self, address):
        """Where clients find the server that says that it is at `address`."""
        return address


class Relayed(Direct):
    """A relay of datagrams before each server."""

    def __init__(self, path):
        self._path = path
        self._stack = contextlib.ExitStack()
        self.pids = []

    def __exit__(self, *exception):
        return self._stack.__exit__(*exception)

    def client_address(self, address):
        scheme, place = address.split(":", 1)
        relay = self._stack.enter_context(processes.Server(
            [processes.program("bad_path", "support"), "udp", place.lstrip("/")] + processes.words(self._path)))
        self.pids.append(relay.pid)
        return "%s://%s" % (scheme, relay.address)


class Mirrored(Direct):
    """A network of one's own, in which each side is behind a TUN device from the other: for TCP."""

    def __init__(self, path):
        self._server = processes.Server([processes.program("bad_path", "support"), "tun"] + processes.words(path))

    def __enter__(self):
        try:
            self._server.__enter__()
        except processes.Failed as error:
            raise Absent(error.reason) from None
        self.pids = [self._server.pid]
        return self

    def __exit__(self, *exception):
        return self._server.__exit__(*exception)

    def uri(self, transport, user):
        return "%s:%s:%d" % (transport.scheme, TUN_SERVER, FIRST_TUN_PORT + user)

    def command(self, command):
        return [processes.program("bad_path", "support"), "inside", self._server.address] + command

    def client_address(self, address):
        return address.replace(TUN_SERVER, TUN_SERVER_SEEN)


def of(scenario, transport):
    """The path of a scenario over a transport, a context; entering it raises Absent where it cannot be."""
    if not scenario.path:
        return Direct()
    return Relayed(scenario.path) if transport.scheme == "udp" else Mirrored(scenario.path)
