"""How programs are started, spoken with and ended, with small ones of the shell."""

import os
import time
import unittest

from tests.bench import processes


def shell(script):
    return ["sh", "-c", script]


class ProgramTest(unittest.TestCase):

    def test_lines_come_one_by_one_and_answers_go_back(self):
        with processes.Program(shell("echo one; echo two; read line; echo got $line")) as program:
            self.assertEqual([program.read_line(60), program.read_line(60)], ["one", "two"])
            program.say("three")
            self.assertEqual(program.read_line(60), "got three")

    def test_the_end_of_stdin_ends_it(self):
        with processes.Program(["cat"]) as program:
            program.finish()
        self.assertEqual(program._process.returncode, 0)

    def test_a_failure_has_the_command_and_its_last_words(self):
        with self.assertRaises(processes.Failed) as caught:
            with processes.Program(shell("echo early >&2; echo no socket >&2; exit 3")) as program:
                program.read_line(60)
        self.assertEqual(caught.exception.reason, "no socket")
        self.assertIn("sh -c", str(caught.exception))
        self.assertIn("early", str(caught.exception))

    def test_a_wrong_exit_code_is_a_failure_though_all_was_said(self):
        with self.assertRaises(processes.Failed):
            processes.run_client(shell("echo 1; exit 1"))
        self.assertEqual(processes.run_client(shell("echo 1")), 1)

    def test_silence_is_a_failure_and_the_silent_one_is_ended(self):
        with self.assertRaisesRegex(processes.Failed, r"says nothing.*its threads: \d+ \w "):
            with processes.Program(["sleep", "600"]) as program:
                program.read_line(0.01)
        self.assertIsNotNone(program._process.returncode)

    def test_whatever_happens_meanwhile_it_is_ended(self):
        with self.assertRaises(KeyboardInterrupt):
            with processes.Program(["sleep", "600"]) as program:
                raise KeyboardInterrupt
        self.assertIsNotNone(program._process.returncode)

    def test_a_program_gets_its_environment(self):
        with processes.Program(shell("echo $ANYWIRE_CONFIG"), {"ANYWIRE_CONFIG": "x"}) as program:
            self.assertEqual(program.read_line(60), "x")


class ComputingTest(unittest.TestCase):

    def test_it_computes_until_the_end_of_the_statement(self):
        def seconds(pid):
            with open("/proc/%d/stat" % pid, encoding="ascii") as file:
                return sum(map(int, file.read().rsplit(")", 1)[1].split()[11:13]))

        with processes.computing() as pid:
            end = time.monotonic() + 60
            while seconds(pid) < 10 and time.monotonic() < end:
                pass
            self.assertGreaterEqual(seconds(pid), 10)
        self.assertFalse(os.path.exists("/proc/%d" % pid))


class ServerTest(unittest.TestCase):

    def test_it_says_where_it_listens(self):
        with processes.Server(shell("echo ready tcp:1; while read line; do echo '{\"heap_bytes\": 7}'; done")) as server:
            self.assertEqual(server.address, "tcp:1")
            self.assertEqual(server.usage(), {"heap_bytes": 7})

    def test_one_that_does_not_start_is_a_failure(self):
        for script in ("echo address in use >&2; exit 1", "echo what; exec sleep 600"):
            with self.assertRaises(processes.Failed):
                with processes.Server(shell(script)):
                    self.fail("it has not started")


class CommandTest(unittest.TestCase):

    def test_pinning(self):
        self.assertEqual(processes.pinned(["x"], (0, 1)), ["taskset", "-c", "0,1", "x"])
        self.assertEqual(processes.pinned(["x"], None), ["x"])

    def test_words(self):
        self.assertEqual(processes.words({"size": 64, "wait": "spin"}), ["size=64", "wait=spin"])


if __name__ == "__main__":
    unittest.main()
