"""Runs filecopy over every transport it has and prints a table: demo_run.py FILECOPY BAD_PATH [FOLDER]. Started by tools/demo."""

import contextlib
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time

# The first of these with enough files is copied.
FOLDERS = ["/usr/include", "/usr/share/doc", "/usr/lib", "/etc"]
ENOUGH_FILES = 2000

# Transports that send UDP datagrams to the host and port of their addresses.
DATAGRAM_SCHEMES = ["udp"]
# What a transport over datagrams has to copy through once more, as the words of tests/support/bad_path, and in short.
LOSSY = ["delay=500us", "loss=1"]
LOSSY_TITLE = "1 % lost"

CONFIG = 'service { name: "filecopy"  listen: "%s"  connect: "%s" }\n'


class Failed(Exception):
    """Something did not work; the text is for the user."""


# Copies go into memory where there is room for them, so that no disk hides what the transports do.
SCRATCH_FOLDERS = ["/dev/shm", "/tmp"]


def count_files(folder):
    return sum(len(files) for _, _, files in os.walk(folder))


def count_bytes(folder):
    paths = (os.path.join(parent, name) for parent, _, names in os.walk(folder) for name in names)
    return sum(os.lstat(path).st_size for path in paths if os.path.lexists(path))


def make_scratch(size):
    """A new folder with room for so many bytes, if there is any such place."""
    for folder in SCRATCH_FOLDERS:
        if os.access(folder, os.W_OK) and shutil.disk_usage(folder).free > 2 * size:
            break
    return tempfile.mkdtemp(prefix="anywire-demo-", dir=folder)


def choose_folder():
    for folder in FOLDERS:
        if count_files(folder) >= ENOUGH_FILES:
            return folder
    return max(FOLDERS, key=count_files)


def remove_tree(path):
    """Also where the copy has folders that their owner may not write."""
    for folder, _, _ in os.walk(path):
        os.chmod(folder, stat.S_IRWXU)
    shutil.rmtree(path)


@contextlib.contextmanager
def running(command):
    """A process for the time of a with statement: told to end, and killed if it does not."""
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        with process.stdin, process.stdout:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def serve(command):
    """Starts a server and waits until it says that it serves."""
    stack = contextlib.ExitStack()
    with stack:
        process = stack.enter_context(running(command))
        line = process.stdout.readline()
        if not line.startswith("serving "):
            raise Failed("the server did not start")
        return stack.pop_all()


def copy(command):
    """Runs a client; its report, a dictionary. Progress goes to the user's own stderr."""
    with running(command) as process:
        report = dict(line.rstrip("\n").split(": ", 1) for line in process.stdout)
        if process.wait() != 0:
            raise Failed("the copy failed")
    return report


def run(filecopy, folder, scheme, uri, scratch, connect=None):
    """One transport; the report of its client, which connects to another address than the server's where one is given."""
    config = os.path.join(scratch, "anywire.textproto")
    with open(config, "w", encoding="utf-8") as file:
        file.write(CONFIG % (uri, connect or uri))
    into = os.path.join(scratch, "copy")
    program = [filecopy, "--anywire_config=" + config]
    try:
        if scheme == "inproc":  # inside one process, as its name says
            return copy(program + ["--role=both", "--root=" + folder, "--into=" + into])
        with serve(program + ["--role=server", "--root=" + folder]):
            return copy(program + ["--role=client", "--into=" + into])
    finally:
        if os.path.exists(into):
            remove_tree(into)


class Relay:
    """A bad path to the server at `uri`."""

    def __init__(self, process, uri):
        self._process = process
        scheme = uri.split(":", 1)[0]
        line = process.stdout.readline()
        if not line.startswith("ready "):
            raise Failed("the relay did not start")
        self.uri = "%s://%s" % (scheme, line.split()[1])

    def counts(self):
        """How many datagrams were sent through it, and how many of them it has lost."""
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        ways = json.loads(self._process.stdout.readline()).values()
        return sum(way["sent"] for way in ways), sum(way["lost"] for way in ways)


def run_lossy(filecopy, bad_path, folder, scheme, uri, scratch):
    """The same through a relay that loses some; the report, the address of the relay, and what it did in a sentence."""
    server = uri.split(":", 1)[1].lstrip("/")
    with running([bad_path, "udp", server] + LOSSY) as process:
        relay = Relay(process, uri)
        report = run(filecopy, folder, scheme, uri, scratch, relay.uri)
        sent, lost = relay.counts()
    return report, relay.uri, "%s, %s: a relay, 1 ms there and back, that has lost %d of %d datagrams." % (
        scheme, LOSSY_TITLE, lost, sent)


def microseconds(report, name):
    return float(report[name].split()[0])


def row(scheme, uri, report):
    return (scheme, uri, report["files"], "%.1f" % (int(report["bytes"]) / 1e6), report["MB/s"],
            "%s of %s" % (report["verified"], report["listed"]),
            "%.1f" % microseconds(report, "small call p50"),
            "%.1f" % microseconds(report, "small call p99"),
            "%.1f" % microseconds(report, "small call while copying p50"))


def print_table(rows):
    head = ("transport", "the word in the config", "files", "MB", "MB/s", "SHA-256 verified",
            "call p50 us", "p99 us", "p50 while copying")
    widths = [max(len(line[i]) for line in [head] + rows) for i in range(len(head))]
    for line in [head, tuple("-" * width for width in widths)] + rows:
        print("  ".join(text.ljust(width) if i < 2 else text.rjust(width)
                        for i, (text, width) in enumerate(zip(line, widths))).rstrip())


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit("usage: tools/demo [FOLDER]")
    filecopy, bad_path = map(os.path.abspath, sys.argv[1:3])
    folder = sys.argv[3] if len(sys.argv) == 4 else choose_folder()
    start = time.monotonic()
    scratch = make_scratch(count_bytes(folder))
    try:
        transports = subprocess.run([filecopy, "--list-transports=" + scratch], check=True,
                                    stdout=subprocess.PIPE, text=True).stdout.splitlines()
        print("Copying %s with one program, changing one word in its configuration:\n  %s" %
              (folder, CONFIG % ("...", "...")), flush=True)
        rows = []
        remarks = []
        for line in transports:
            scheme, uri = line.split(" ", 1)
            print("%s: %s" % (scheme, uri), flush=True)
            rows.append(row(scheme, uri, run(filecopy, folder, scheme, uri, scratch)))
            if scheme in DATAGRAM_SCHEMES:
                title = "%s, %s" % (scheme, LOSSY_TITLE)
                print("%s: %s, by a relay" % (title, uri), flush=True)
                report, relayed_uri, remark = run_lossy(filecopy, bad_path, folder, scheme, uri, scratch)
                rows.append(row(title, relayed_uri, report))
                remarks.append(remark)
        print()
        print_table(rows)
        for remark in remarks:
            print("\n" + remark)
        print("\n%.0f seconds. Copied to %s. Calls have 64 bytes and block. Server and client are two processes; for "
              "inproc, one." % (time.monotonic() - start, os.path.dirname(scratch)))
    finally:
        remove_tree(scratch)


def end(number, _frame):
    raise SystemExit(128 + number)


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
    try:
        main()
    except (Failed, OSError, subprocess.CalledProcessError) as error:
        sys.exit("tools/demo: %s" % error)
