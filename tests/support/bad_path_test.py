"""The program bad_path: what it says, what it does, and what it refuses."""

import json
import os
import socket
import subprocess
import sys
import unittest

BAD_PATH = os.path.join(os.environ["TEST_SRCDIR"], "anywire", "tests", "support", "bad_path")
SECONDS = 60

# Run inside the namespace: a TCP server and its client.
ECHO = """
import socket
server = socket.create_server(("198.18.0.1", 4000))
client = socket.create_connection(("198.18.0.2", 4000))
accepted, peer = server.accept()
assert peer[0] == "198.18.0.2", peer
client.sendall(b"hello")
accepted.sendall(b"world")
print(client.recv(5, socket.MSG_WAITALL).decode(), accepted.recv(5, socket.MSG_WAITALL).decode())
"""


class Running:
    """bad_path for the time of a with statement, and the first word that it said after "ready"."""

    def __init__(self, *words):
        self._words = words

    def __enter__(self):
        self._process = subprocess.Popen([BAD_PATH, *self._words], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                         stderr=subprocess.PIPE, text=True)
        line = self._process.stdout.readline()
        self.ready = line[len("ready "):].rstrip("\n") if line.startswith("ready ") else None
        self.error = self._process.communicate(timeout=SECONDS)[1] if self.ready is None else ""
        return self

    def __exit__(self, *_):
        if self.ready is not None:
            self._process.communicate(timeout=SECONDS)  # it ends at the end of its stdin
        assert self._process.returncode == (1 if self.ready is None else 0), self._process.returncode

    def counts(self):
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


class UdpTest(unittest.TestCase):

    def setUp(self):
        self.server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.server.bind(("127.0.0.1", 0))
        self.server.settimeout(SECONDS)
        self.addCleanup(self.server.close)
        self.client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(self.client.close)
        self.address = "127.0.0.1:%d" % self.server.getsockname()[1]

    def send_to(self, relay, bytes):
        host, port = relay.ready.split(":")
        self.client.sendto(bytes, (host, int(port)))

    def test_datagrams_pass_and_are_counted(self):
        with Running("udp", self.address) as relay:
            self.send_to(relay, b"request")
            request, peer = self.server.recvfrom(100)
            self.server.sendto(b"reply", peer)
            self.assertEqual((request, self.client.recv(100)), (b"request", b"reply"))
            counts = relay.counts()
            self.assertEqual((counts["to_server"]["sent"], counts["to_client"]["arrived"]), (1, 1))

    def test_what_it_is_told_it_does(self):
        with Running("udp", self.address, "duplicate=100", "mtu=10") as relay:
            self.send_to(relay, b"larger than ten")
            self.send_to(relay, b"twice")
            self.assertEqual([self.server.recv(100) for _ in range(2)], [b"twice"] * 2)
            counts = relay.counts()["to_server"]
            self.assertEqual((counts["sent"], counts["too_large"], counts["duplicated"]), (2, 1, 1))


class TunTest(unittest.TestCase):

    def test_a_program_inside_has_tcp_through_it(self):
        with Running("tun", "delay=1ms") as path:
            if path.ready is None:
                self.skipTest(path.error)
            said = subprocess.run([BAD_PATH, "inside", path.ready, sys.executable, "-c", ECHO], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, text=True, timeout=SECONDS, check=True).stdout
            self.assertEqual(said, "world hello\n")
            self.assertGreater(path.counts()["to_server"]["arrived"], 2)

    def test_what_cannot_be_run_is_said(self):
        with Running("tun") as path:
            if path.ready is None:
                self.skipTest(path.error)
            done = subprocess.run([BAD_PATH, "inside", path.ready, "/no/such/program"], stderr=subprocess.PIPE, text=True)
            self.assertEqual((done.returncode, done.stderr), (1, "/no/such/program: No such file or directory\n"))


class MistakesTest(unittest.TestCase):

    def test_each_is_a_line(self):
        for words, line in (
                ([], "usage"), (["tcp"], "usage"), (["udp"], "usage"), (["inside", "1"], "usage"), (["inside", "x", "true"], "x"),
                (["inside", "999999999", "true"], "namespace"), (["udp", "127.0.0.1"], "port"),
                (["udp", "127.0.0.1:1", "loss=many"], "loss=many"), (["tun", "tall=1"], "tall=1")):
            with self.subTest(words):
                done = subprocess.run([BAD_PATH] + words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE, text=True)
                self.assertEqual((done.returncode, done.stdout), (1, ""))
                self.assertRegex(done.stderr, r"\Abad_path: [^\n]*%s[^\n]*\n\Z" % line)


if __name__ == "__main__":
    unittest.main()
