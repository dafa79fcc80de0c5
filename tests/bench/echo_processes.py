"""Starts and ends the echo programs; shared by the benchmark and the budgets."""

import json
import os
import subprocess


def program(name):
    """The path of an optimised echo program: in a test's runfiles, else where Bazel builds it."""
    relative = os.path.join("tests", "bench", name + "_optimised")
    runfiles = os.environ.get("TEST_SRCDIR")
    if runfiles:
        return os.path.join(runfiles, "anywire", relative)
    return os.path.join(os.path.dirname(__file__), "..", "..", "bazel-bin", relative)


def pinned(command, core):
    """The command, on one core; unpinned for None."""
    return command if core is None else ["taskset", "-c", str(core)] + command


class Server:
    """A server program, for the time of a with statement; it ends when its stdin is closed."""

    def __init__(self, command):
        self._command = command

    def __enter__(self):
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        line = self._process.stdout.readline()
        if line != "ready\n":
            self._process.kill()
            self._process.communicate()
            raise RuntimeError("%s did not start: %r" % (" ".join(self._command), line))
        return self

    def stop(self):
        """Ends it and returns its exit code."""
        self._process.stdin.close()
        try:
            code = self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise
        finally:
            self._process.stdout.close()
        return code

    def __exit__(self, kind, error, trace):
        if self._process.returncode is None:
            self.stop()


def run_client(command, timeout=120):
    """Runs a client program; what it reported."""
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=timeout, check=True)
    return json.loads(result.stdout)
