"""Starts and ends the measured programs (program.h says how they are talked to); for the benchmark and the budgets."""

import contextlib
import json
import os
import selectors
import subprocess
import sys
import tempfile


class Failed(Exception):
    """A program did not do what it should; the text is for the user."""

    def __init__(self, text, reason=None):
        super().__init__(text)
        self.reason = reason or text  # in a line


def program(name, package="bench"):
    """The path of an optimised program: in a test's runfiles, else where Bazel builds it."""
    relative = os.path.join("tests", package, name + "_optimised")
    runfiles = os.environ.get("TEST_SRCDIR")
    if runfiles:
        return os.path.join(runfiles, "anywire", relative)
    return os.path.join(os.path.dirname(__file__), "..", "..", "bazel-bin", relative)


def words(parameters):
    """A dictionary as the KEY=VALUE words of a command line."""
    return ["%s=%s" % item for item in parameters.items()]


def pinned(command, cores):
    """The command, on these cores (none: wherever it likes)."""
    return ["taskset", "-c", ",".join(map(str, cores))] + command if cores else command


def threads_of(pid):
    """What the threads of a process that does not go on are doing: whether they run, and what they wait for in the kernel."""
    found = []
    with contextlib.suppress(OSError):
        for thread in sorted(os.listdir("/proc/%d/task" % pid), key=int):
            with open("/proc/%d/task/%s/stat" % (pid, thread), encoding="ascii", errors="replace") as file:
                fields = file.read().rsplit(")", 1)[1].split()
            with open("/proc/%d/task/%s/wchan" % (pid, thread), encoding="ascii") as file:
                waits_for = file.read()
            seconds = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
            found.append("%s %s %s %.2f s" % (thread, fields[0], waits_for, seconds))
    return ", ".join(found)


@contextlib.contextmanager
def computing():
    """A process that does nothing but compute, for the time of a with statement, and not after the end of this one; its id."""
    parent = os.getpid()
    process = subprocess.Popen(
        [sys.executable, "-c", "import os\nwhile os.getppid() == %d: sum(range(100000))" % parent], stdin=subprocess.DEVNULL)
    try:
        yield process.pid
    finally:
        process.kill()
        process.wait()


class Program:
    """A running program that says lines and is told lines; for the time of a with statement."""

    def __init__(self, command, environment=None):
        self._command = command
        self._environment = dict(os.environ, **(environment or {}))

    def __enter__(self):
        # A file, not a pipe: whoever the program started may keep a pipe open.
        self._errors = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, env=self._environment)
        self._unread = b""
        return self

    @property
    def pid(self):
        return self._process.pid

    def read_line(self, timeout):
        """The next line that it says."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._unread:
                if not selector.select(timeout):
                    raise self._failed("says nothing for %.0f s" % timeout)
                more = os.read(self._process.stdout.fileno(), 65536)
                if not more:
                    raise self._failed("ended")
                self._unread += more
        line, self._unread = self._unread.split(b"\n", 1)
        return line.decode()

    def say(self, line):
        try:
            self._process.stdin.write(line.encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._failed("ended") from None

    def finish(self, timeout=60):
        """Closes its stdin, at which it ends; raises unless it does so well."""
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise self._failed("does not end") from None
        if self._process.returncode != 0:
            raise self._failed("failed")

    def _failed(self, what):
        if self._process.poll() is None:
            what += "; its threads: " + threads_of(self.pid)
        self._process.kill()
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()
        self._errors.seek(0)
        error = self._errors.read().decode(errors="replace").strip()
        reason = error.splitlines()[-1] if error else what
        return Failed("%s\n  %s%s" % (" ".join(self._command), what, ": " + error if error else ""), reason)

    def __exit__(self, kind, error, trace):
        try:
            if self._process.poll() is None:
                if kind is None:
                    self.finish()
                else:
                    self._process.kill()
                    self._process.wait()
        finally:
            for pipe in (self._process.stdin, self._process.stdout, self._errors):
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()


class Server(Program):
    """A server program."""

    def __enter__(self):
        super().__enter__()
        try:
            line = self.read_line(60)
            if not line.startswith("ready "):
                raise self._failed("did not start, but said %r" % line)
        except BaseException:
            self._process.kill()
            super().__exit__(Failed, None, None)
            raise
        self.address = line[len("ready "):]
        return self

    def usage(self):
        """What it has used so far."""
        self.say("usage")
        return json.loads(self.read_line(60))


def run_client(command, environment=None, timeout=120):
    """Runs a client program to its end; what it reported."""
    with Program(command, environment) as client:
        line = client.read_line(timeout)
        client.finish()
    return json.loads(line)
