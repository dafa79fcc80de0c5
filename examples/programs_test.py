"""Runs the example programs as a user would: separate processes, one configuration file, one word changed in it."""

import contextlib
import os
import signal
import socket
import subprocess
import tempfile
import time
import unittest

RUNFILES = os.path.join(os.environ["TEST_SRCDIR"], "anywire", "examples")
TIMEOUT = 60  # seconds, for anything that is waited for


def program(name):
    return os.path.join(RUNFILES, name)


def own_loopback():
    """An address of the loopback for this process alone: of 127.0.0.1 a port that is free now is soon somebody else's."""
    return "127.%d.%d.%d" % (1 + (os.getpid() >> 16) % 64, os.getpid() >> 8 & 255, os.getpid() & 255)


def free_address(kind):
    with contextlib.closing(socket.socket(type=kind)) as probe:
        probe.bind((own_loopback(), 0))
        return "%s:%d" % probe.getsockname()


class ProgramsTest(unittest.TestCase):

    def setUp(self):
        folder = tempfile.TemporaryDirectory(dir="/tmp", prefix="programs-")
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.config = self.path("anywire.textproto")

    def path(self, name):
        return os.path.join(self.folder, name)

    def addresses(self):
        return ["unix://" + self.path("socket"), "shm://" + self.path("shm"),
                "unix-abstract:" + os.path.basename(self.folder), "tcp://" + free_address(socket.SOCK_STREAM),
                "udp://" + free_address(socket.SOCK_DGRAM)]

    def configure(self, service, uri):
        with open(self.config, "w", encoding="utf-8") as file:
            file.write('service { name: "%s"  listen: "%s"  connect: "%s" }\n' % (service, uri, uri))

    @contextlib.contextmanager
    def server(self, name, *flags):
        """A server for the time of a with statement; it must end well when told to."""
        process = subprocess.Popen([program(name), "--anywire_config=" + self.config, *flags],
                                   stdout=subprocess.PIPE, text=True)
        with process.stdout:
            try:
                yield process
            except BaseException:
                process.kill()
                process.wait()
                raise
            process.send_signal(signal.SIGTERM)
            try:
                self.assertEqual(process.wait(TIMEOUT), 0)
            finally:
                process.kill()
                process.wait()

    def run_program(self, name, *flags):
        return subprocess.run([program(name), "--anywire_config=" + self.config, *flags],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=TIMEOUT, check=False)

    def run_when_served(self, name, *flags):
        """Runs a client again until the server, just started, is there."""
        give_up = time.monotonic() + TIMEOUT
        while True:
            result = self.run_program(name, *flags)
            if "UNAVAILABLE" not in result.stderr or time.monotonic() > give_up:
                return result

    def check(self, result, code=0):
        self.assertEqual(result.returncode, code, result.stdout + result.stderr)
        return result

    def test_greeter_over_every_transport(self):
        for uri in self.addresses():
            with self.subTest(uri):
                self.configure("greeter", uri)
                with self.server("greeter/server"):
                    result = self.check(self.run_when_served("greeter/client"))
                    self.assertEqual(result.stdout, "Hello world\n")
                    result = self.check(self.run_program("greeter/async_client"))
                    self.assertEqual(sorted(result.stdout.splitlines()),
                                     ["Hello again", "Hello callback", "Hello coroutine"])

    def test_nobody_listens(self):
        for uri in self.addresses():
            with self.subTest(uri):
                self.configure("greeter", uri)
                result = self.check(self.run_program("greeter/client"), 1)
                self.assertIn("UNAVAILABLE", result.stderr)
                self.assertEqual(len(result.stderr.splitlines()), 1, result.stderr)

    def test_nonsense_in_the_configuration(self):
        self.configure("greeter", "pigeon://coop")
        for name in ("greeter/server", "greeter/client"):
            result = self.check(self.run_program(name), 2)
            self.assertEqual(len(result.stderr.splitlines()), 1, result.stderr)
            self.assertIn(self.config + ":1:", result.stderr)
            self.assertIn("pigeon", result.stderr)
            self.assertIn("unix", result.stderr)

    def test_address_in_use(self):
        self.configure("greeter", "unix://" + self.path("socket"))
        with self.server("greeter/server"):
            self.check(self.run_when_served("greeter/client"))
            result = self.check(self.run_program("greeter/server"), 2)
            self.assertIn(self.path("socket"), result.stderr)

    def test_routeguide(self):
        for uri in self.addresses():
            with self.subTest(uri):
                self.configure("routeguide", uri)
                with self.server("routeguide/server"):
                    result = self.check(self.run_when_served("routeguide/client"))
                self.assertEqual(result.stdout.splitlines(), [
                    "at 46.6242 N 8.0414 E: Grindelwald, 1034 m",
                    "at 0.0000 N 0.0000 E: no known place is there",
                    "around the Jungfrau:",
                    "  Gimmelwald at 46.5467 N 7.8917 E",
                    "  Wengen at 46.6056 N 7.9217 E",
                    "  Grindelwald at 46.6242 N 8.0414 E",
                    "  Interlaken at 46.6858 N 7.8632 E",
                    "a tour of 15 places: 461 km, 5629 m up",
                    "left at 46.6056 N 7.9217 E: Good view from here.",
                    "left at 46.6056 N 7.9217 E: Good view from here.",
                    "left at 46.6056 N 7.9217 E: The cafe is closed.",
                ])

    def make_tree(self, files):
        os.mkdir(self.path("from"))
        for i in range(files):
            with open(self.path("from/%d" % i), "wb") as file:
                file.write(b"%d" % i * 1000)

    def test_filecopy_in_one_process(self):
        self.make_tree(100)
        self.configure("filecopy", "inproc://filecopy")
        result = self.check(self.run_program(
            "filecopy/filecopy", "--role=both", "--root=" + self.path("from"),
            "--into=" + self.path("to"), "--probe=10"))
        self.assertIn("verified: 100\n", result.stdout)
        subprocess.run(["diff", "-r", self.path("from"), self.path("to")], check=True)

    def test_filecopy_in_two_processes(self):
        self.make_tree(100)
        for uri in self.addresses():
            with self.subTest(uri):
                self.configure("filecopy", uri)
                with self.server("filecopy/filecopy", "--role=server",
                                 "--root=" + self.path("from")) as server:
                    self.assertTrue(server.stdout.readline().startswith("serving "))
                    result = self.check(self.run_program(
                        "filecopy/filecopy", "--role=client", "--into=" + self.path("to"),
                        "--probe=10"))
                self.assertIn("verified: 100\n", result.stdout)
                subprocess.run(["diff", "-r", self.path("from"), self.path("to")], check=True)

    def test_filecopy_stops_when_interrupted(self):
        # A file that takes long: one byte in a message.
        os.mkdir(self.path("from"))
        with open(self.path("from/long"), "wb") as file:
            file.truncate(1 << 26)
        self.configure("filecopy", "inproc://filecopy")
        for number in (signal.SIGINT, signal.SIGTERM):
            process = subprocess.Popen(
                [program("filecopy/filecopy"), "--anywire_config=" + self.config, "--role=both",
                 "--root=" + self.path("from"), "--into=" + self.path("to"), "--chunk=1"],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            # The first line of progress that names the file's size: the copy runs.
            for line in process.stderr:
                if "of 1 files" in line:
                    break
            process.send_signal(number)
            _, errors = process.communicate(timeout=TIMEOUT)
            self.assertEqual(process.returncode, 1)
            self.assertIn("CANCELLED: long: ", errors)
            self.assertEqual(os.listdir(self.path("to")), [])

    def test_filecopy_explains_mistakes(self):
        self.configure("filecopy", "inproc://filecopy")
        mistakes = [
            ([], "--role is missing"),
            (["--role=pilot"], "--role=pilot: allowed is server, client or both"),
            (["--role=client"], "--into=DIR is missing"),
            (["--role=server"], "--root=DIR is missing"),
            (["--role=server", "--root=/no/such/folder"], "/no/such/folder"),
            (["--calls=0"], "--calls=0: allowed is 1 to 256"),
            (["--calls=257"], "--calls=257: allowed is 1 to 256"),
            (["--chunk=2097153"], "allowed is 1 to 2097152"),
            (["--chunk"], "not of the form --flag=value"),
            (["--what=1"], "no such flag: --what"),
            (["--role=client", "--into=/tmp/x", "--service=unknown"], "unknown"),
        ]
        for flags, text in mistakes:
            with self.subTest(flags):
                result = self.check(self.run_program("filecopy/filecopy", *flags), 2)
                self.assertIn(text, result.stderr)
                self.assertEqual(len(result.stderr.splitlines()), 1, result.stderr)
        result = self.check(self.run_program("filecopy/filecopy", "--help"))
        self.assertIn("--into=DIR", result.stdout)

    def test_filecopy_lists_transports(self):
        self.configure("filecopy", "inproc://filecopy")
        result = self.check(self.run_program("filecopy/filecopy", "--list-transports=" + self.folder))
        lines = [line.split() for line in result.stdout.splitlines()]
        self.assertTrue({"inproc", "unix", "tcp"} <= {scheme for scheme, _ in lines}, lines)
        for scheme, uri in lines:
            self.assertTrue(uri.startswith(scheme + ":"), uri)
            self.assertNotIn(":0", uri[-2:])


if __name__ == "__main__":
    unittest.main()
