"""Runs filecopy over every transport it has and prints a table: demo_run.py FILECOPY [FOLDER]. Started by tools/demo."""

import contextlib
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
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        with process.stdout:
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


def run(filecopy, folder, scheme, uri, scratch):
    """One transport; the report of its client."""
    config = os.path.join(scratch, "anywire.textproto")
    with open(config, "w", encoding="utf-8") as file:
        file.write(CONFIG % (uri, uri))
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
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: tools/demo [FOLDER]")
    filecopy = os.path.abspath(sys.argv[1])
    folder = sys.argv[2] if len(sys.argv) == 3 else choose_folder()
    start = time.monotonic()
    scratch = make_scratch(count_bytes(folder))
    try:
        transports = subprocess.run([filecopy, "--list-transports=" + scratch], check=True,
                                    stdout=subprocess.PIPE, text=True).stdout.splitlines()
        print("Copying %s with one program, changing one word in its configuration:\n  %s" %
              (folder, CONFIG % ("...", "...")), flush=True)
        rows = []
        for line in transports:
            scheme, uri = line.split(" ", 1)
            print("%s: %s" % (scheme, uri), flush=True)
            rows.append(row(scheme, uri, run(filecopy, folder, scheme, uri, scratch)))
        print()
        print_table(rows)
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
