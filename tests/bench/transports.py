"""anywire's transports, as its registry has them."""

import dataclasses
import json
import subprocess

from tests.bench import processes


@dataclasses.dataclass(frozen=True)
class Transport:
    scheme: str
    uri: str  # to listen on
    in_process: bool  # server and client have to share a process

    def uri_for(self, user):
        """Where this one may listen, a word or number that no other user of the transport has."""
        return self.uri if self.scheme in ("tcp", "udp") else "%s.%s" % (self.uri, user)


def registered(folder):
    """All of them; those that need a file have it in `folder`, whose path should be short."""
    listing = subprocess.run([processes.program("bench_anywire"), "transports", folder], stdout=subprocess.PIPE,
                             text=True, timeout=60, check=True).stdout
    found = [Transport(**json.loads(line)) for line in listing.splitlines()]
    if not found:
        raise processes.Failed("bench_anywire lists no transports")
    return found
