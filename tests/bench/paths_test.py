"""Which path lies between a client and its server, and what becomes of addresses and commands on it."""

import unittest
from unittest import mock

from tests.bench import paths, processes, scenarios
from tests.bench.transports import Transport

TCP = Transport("tcp", "tcp:127.0.0.1:0", False)
UDP = Transport("udp", "udp:127.0.0.1:0", False)
GOOD = next(scenario for scenario in scenarios.SCENARIOS if not scenario.path)
LOSSY = next(scenario for scenario in scenarios.SCENARIOS if scenario.path)


def says(script):
    """Instead of bad_path: a program that runs this and gets the words as its arguments."""
    return mock.patch.object(processes, "program", lambda name, package="bench": script)


class PathsTest(unittest.TestCase):

    def setUp(self):
        # What is in a command is told apart from the program by how Popen takes a list.
        real = processes.subprocess.Popen
        patch = mock.patch.object(processes.subprocess, "Popen", lambda command, **options: real(
            ["sh", "-c", command[0], "sh"] + command[1:], **options))
        patch.start()
        self.addCleanup(patch.stop)

    def test_without_a_path_nothing_is_changed(self):
        with paths.of(GOOD, TCP) as path:
            self.assertEqual(path.uri(TCP, 7), TCP.uri)
            self.assertEqual(path.command(["x"]), ["x"])
            self.assertEqual(path.client_address("tcp://127.0.0.1:4000"), "tcp://127.0.0.1:4000")
            self.assertEqual(list(path.pids), [])

    def test_datagrams_pass_a_relay(self):
        with says('echo ready "$1/$2/$3"; cat'), paths.of(LOSSY, UDP) as path:
            self.assertEqual(path.uri(UDP, 7), UDP.uri)
            self.assertEqual(path.client_address("udp://127.0.0.1:4000"), "udp://udp/127.0.0.1:4000/delay=500us")
            self.assertEqual(path.client_address("udp:[::1]:4001"), "udp://udp/[::1]:4001/delay=500us")
            self.assertEqual(len(path.pids), 2)

    def test_tcp_is_put_behind_a_mirror(self):
        with says("echo ready 123; cat"), paths.of(LOSSY, TCP) as path:
            self.assertEqual(path.uri(TCP, 7), "tcp:198.18.0.1:4007")
            self.assertEqual(path.command(["x", "y"])[1:], ["inside", "123", "x", "y"])
            self.assertEqual(path.client_address("tcp://198.18.0.1:4007"), "tcp://198.18.0.2:4007")
            self.assertEqual(len(path.pids), 1)

    def test_where_there_is_no_mirror_it_says_why(self):
        with says("echo there is no tun >&2; exit 1"):
            with self.assertRaisesRegex(paths.Absent, "^there is no tun$"):
                with paths.of(LOSSY, TCP):
                    self.fail("it was entered")


if __name__ == "__main__":
    unittest.main()
