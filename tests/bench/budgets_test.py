"""Holds a call to its budgets (budgets.py). No time is measured: what is counted is the same on every machine."""

import os
import re
import subprocess
import tempfile
import unittest

from tests.bench import budgets
from tests.bench import echo_processes

CALLS = budgets.LONG_RUN - budgets.SHORT_RUN


def per_call(short, long):
    return (long - short) / CALLS


class BudgetsTest(unittest.TestCase):

    def setUp(self):
        # Not the test's own folder: a socket's path must be short.
        self._folder = tempfile.TemporaryDirectory(dir="/tmp", prefix="budgets-")
        self.addCleanup(self._folder.cleanup)
        # How often a thread polls before it sleeps depends on how fast the machine is.
        with open(self.path("config"), "w", encoding="utf-8") as file:
            file.write('runtime { max_spin: "0s" }\n')
        os.environ["ANYWIRE_CONFIG"] = self.path("config")

    def path(self, name):
        return os.path.join(self._folder.name, name)

    def run_both(self, program, calls, wrap):
        """Runs a server and a client, each inside the command that wrap(side) gives; the client's report."""
        uri = "unix://" + self.path("socket.%d" % calls)
        path = echo_processes.program(program)
        with echo_processes.Server(wrap("server") + [path, "server", uri]) as server:
            report = echo_processes.run_client(
                wrap("client") + [path, "client", uri, str(calls), "untimed"])
            self.assertEqual(server.stop(), 0)
        return report

    def count_instructions(self, calls):
        """Instructions of each side, and callgrind's files."""
        files = {side: self.path("callgrind.%s.%d" % (side, calls)) for side in ("client", "server")}

        def wrap(side):
            return ["valgrind", "--quiet", "--tool=callgrind", "--callgrind-out-file=" + files[side]]

        self.run_both("echo_anywire", calls, wrap)
        counts = {}
        for side, path in files.items():
            with open(path, encoding="utf-8", errors="replace") as file:
                counts[side] = sum(int(n) for n in re.findall(r"^totals: (\d+)", file.read(), re.M))
        return counts, files

    def test_instructions(self):
        short, short_files = self.count_instructions(budgets.SHORT_RUN)
        long, long_files = self.count_instructions(budgets.LONG_RUN)
        sides = {side: per_call(short[side], long[side]) for side in short}
        print("instructions per call: %.0f client, %.0f server" % (sides["client"], sides["server"]))
        if sum(sides.values()) > budgets.INSTRUCTIONS:
            for side in sides:
                print("the %s's instructions per call:" % side)
                print_functions(short_files[side], long_files[side])
        self.assertGreater(min(sides.values()), 100, "callgrind did not count")
        self.assertLessEqual(sum(sides.values()), budgets.INSTRUCTIONS)

    def test_allocations(self):
        def count(calls):
            report = self.run_both("echo_anywire_counted", calls, lambda side: [])
            return {side: report[side + "_allocations"] * calls for side in ("client", "server")}

        messages = echo_processes.run_client(
            [echo_processes.program("echo_anywire_counted"), "messages", "1000"])["allocations"]
        short, long = count(budgets.SHORT_RUN), count(budgets.LONG_RUN)
        sides = {side: per_call(short[side], long[side]) for side in short}
        print("allocations per call: %.3f client, %.3f server; protobuf's own %.3f" %
              (sides["client"], sides["server"], messages))
        self.assertGreater(messages, 0, "nothing was counted")
        self.assertLessEqual(sum(sides.values()) - messages, budgets.ALLOCATIONS)

    def test_system_calls(self):
        def count(calls):
            files = {side: self.path("strace.%s.%d" % (side, calls)) for side in ("client", "server")}
            self.run_both("echo_anywire", calls,
                          lambda side: ["strace", "-f", "-c", "-o", files[side]])
            return {side: read_strace(path) for side, path in files.items()}

        try:
            subprocess.run(["strace", "-o", "/dev/null", "true"], check=True,
                           stderr=subprocess.PIPE, text=True)
        except (OSError, subprocess.CalledProcessError) as error:
            self.fail("strace cannot run here, so system calls cannot be counted: %s %s" %
                      (error, getattr(error, "stderr", "")))
        short, long = count(budgets.SHORT_RUN), count(budgets.LONG_RUN)
        for side in ("client", "server"):
            names = set(short[side]) | set(long[side])
            calls = {name: per_call(short[side].get(name, 0), long[side].get(name, 0))
                     for name in names}
            calls = {name: number for name, number in sorted(calls.items()) if number >= 0.001}
            print("system calls per call, %s: %s" %
                  (side, ", ".join("%s %.3f" % item for item in calls.items())))
            total = sum(calls.values())
            self.assertGreater(total, 1, "strace did not count")
            self.assertLessEqual(total, budgets.SYSTEM_CALLS + budgets.SYSTEM_CALLS_TOLERANCE, side)


def read_functions(path):
    """How many instructions each function took, by callgrind's file."""
    table = subprocess.run(["callgrind_annotate", "--auto=no", "--threshold=100", path],
                           stdout=subprocess.PIPE, text=True, check=False).stdout
    counts = {}
    for number, function in re.findall(r"^ *([\d,]+) \(.*?%\)  (.*?)(?: \[.*\])?$", table, re.M):
        counts[function] = counts.get(function, 0) + int(number.replace(",", ""))
    return counts


def print_functions(short_path, long_path):
    short, long = read_functions(short_path), read_functions(long_path)
    costs = {name: per_call(short.get(name, 0), count) for name, count in long.items()
             if name != "PROGRAM TOTALS" and per_call(short.get(name, 0), count) >= 0.5}
    for name, cost in sorted(costs.items(), key=lambda item: -item[1])[:40]:
        print("%8.1f  %s" % (cost, name))


def read_strace(path):
    """The table that strace -c wrote: how often each system call was made."""
    counts = {}
    with open(path, encoding="utf-8") as file:
        for line in file:
            # % time, seconds, usecs/call, calls, errors (may be missing), syscall
            match = re.match(r"\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$", line)
            if match and match.group(2) != "total":
                counts[match.group(2)] = int(match.group(1))
    return counts


if __name__ == "__main__":
    unittest.main()
