"""Counts what calls cost: instructions, allocations, system calls, bytes. Nothing here is timed.

One run of the load's pattern "counted" goes through the forms of calls in phases, and client and server note their state between
them; what lies between two notes is the cost of a phase's calls.
"""

import contextlib
import dataclasses
import json
import os
import re
import subprocess

from tests.bench import processes

# In the load's order. In flight: 64 at a time, with callbacks.
FORMS = ("blocking", "callback", "coroutine", "in-flight")
SIDES = ("client", "server")

# For each form the notes before and after its counted calls; in between each form warms up.
NOTES = 2 * len(FORMS)


def calls_of(form, calls):
    """How many are counted, of `calls` that were asked for."""
    return 16 * calls if form == "in-flight" else calls


def notes_of(form):
    """Which notes, from 0, a form's counted calls lie between."""
    return 2 * FORMS.index(form), 2 * FORMS.index(form) + 1


def run(transport, uri, calls, program, wrap, folder):
    """Goes through all phases; the sides' usages, a list of NOTES each. `wrap` gives the command to run a side in.

    A process that is both sides counts as the client.
    """
    # How often a thread polls before it sleeps depends on how fast the machine is.
    config = os.path.join(folder, "sleeping.textproto")
    with open(config, "w", encoding="utf-8") as file:
        file.write('runtime { max_spin: "0s" }\n')
    environment = {"ANYWIRE_CONFIG": config}
    command = [processes.program(program)]
    parameters = processes.words({"pattern": "counted", "calls": calls})
    usages = {"client": []} if transport.in_process else {side: [] for side in SIDES}
    with contextlib.ExitStack() as stack:
        if transport.in_process:
            role = ["both", uri]
        else:
            server = stack.enter_context(
                processes.Server(wrap("server") + command + ["server", uri], environment))
            role = ["client", server.address, str(os.getpid())]  # its processor time is not asked for
        client = stack.enter_context(processes.Program(wrap("client") + command + role + parameters, environment))
        for _ in range(NOTES):
            usages["client"].append(json.loads(client.read_line(120)))
            if not transport.in_process:
                usages["server"].append(server.usage())
            client.say("go on")
        client.finish()
    return usages


# ---- allocations


def count_allocations(transport, uri, calls, folder):
    """Calls of operator new per call, both sides, beyond those that the same messages cost protobuf: by form."""
    usages = run(transport, uri, calls, "bench_anywire_counted", lambda side: [], folder)
    messages = processes.run_client([processes.program("bench_anywire_counted"), "messages", str(calls)])["allocations"]
    if messages <= 0:
        raise processes.Failed("allocations are not counted")

    def of(form):
        before, after = notes_of(form)
        return sum(notes[after]["allocations"] - notes[before]["allocations"] for notes in usages.values()) / calls_of(form, calls)

    return {form: of(form) - messages for form in FORMS}


# ---- instructions


class Instructions:
    """User-space instructions per call, by callgrind."""

    def __init__(self, transport, uri, calls, folder):
        self._calls = calls
        self._files = {side: os.path.join(folder, "callgrind.%s.%s" % (transport.scheme, side))
                       for side in (("client",) if transport.in_process else SIDES)}
        run(transport, uri, calls, "bench_anywire",
            # Fair: one of the runtime's threads may yield until another has run.
            lambda side: ["valgrind", "--quiet", "--fair-sched=yes", "--tool=callgrind",
                          "--callgrind-out-file=" + self._files[side]], folder)

    def _file(self, side, form):
        # Callgrind numbers its files from 1: a note's has what was executed since the one before.
        return "%s.%d" % (self._files[side], notes_of(form)[1] + 1)

    def of(self, form):
        """By side."""
        counts = {}
        for side in self._files:
            with open(self._file(side, form), encoding="utf-8", errors="replace") as file:
                counts[side] = sum(int(n) for n in re.findall(r"^totals: (\d+)", file.read(), re.M)) / calls_of(form, self._calls)
            if counts[side] < 100:
                raise processes.Failed("callgrind did not count the %s's instructions" % side)
        return counts

    def profile(self, form, entries=25):
        """Where they go: text."""
        lines = []
        for side in self._files:
            lines.append("the %s's instructions per call:" % side)
            table = subprocess.run(["callgrind_annotate", "--auto=no", "--threshold=100", self._file(side, form)],
                                   stdout=subprocess.PIPE, text=True, check=False).stdout
            lines += profile_lines(table, calls_of(form, self._calls))[:entries]
        return "\n".join(lines)


def profile_lines(table, calls):
    """callgrind_annotate's table, per call and by function, the dearest first.

    Functions that were running when callgrind wrote its file (main, for one) have all that they called: they are left out.
    """
    counts = {}
    for number, function in re.findall(r"^ *([\d,]+) \(.*?%\)  (.*?)(?: \[.*\])?$", table, re.M):
        counts[function] = counts.get(function, 0) + int(number.replace(",", ""))
    everything = counts.pop("PROGRAM TOTALS", 0)
    counts = {function: count for function, count in counts.items() if count < 0.95 * everything}
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return ["%8.1f  %s" % (count / calls, name) for name, count in ordered if count >= calls / 2]


# ---- system calls and bytes


@dataclasses.dataclass
class Kernel:
    """What one side asked of the kernel."""
    names: dict  # how often each system call was made
    sent: float  # bytes given to sockets

    def total(self):
        return sum(self.names.values())

    def per_call(self, calls):
        return Kernel({name: count / calls for name, count in self.names.items()}, self.sent / calls)


SENDING = ("write", "writev", "send", "sendto", "sendmsg")


def read_strace(lines):
    """A list of Kernel, one for all that lies before each note, of what strace -f -y wrote.

    A note is a write to stdout. A system call that waits for another thread stands in two lines, and counts in the second.
    """
    phases = []
    names, sent = {}, 0
    sending = set()  # threads whose unfinished call is one that sends
    for line in lines:
        found = re.match(r"(?P<thread>\d+) +(?:<\.\.\. (?P<resumed>\w+) resumed>|(?P<name>\w+)\((?P<first>[^,)]*))(?P<rest>.*)", line)
        if not found:
            continue
        thread, name = found.group("thread"), found.group("resumed") or found.group("name")
        first = found.group("first") or ""
        if name == "write" and re.match(r"1(<|$)", first):
            phases.append(Kernel(names, sent))
            names, sent = {}, 0
            continue
        if name in SENDING and "socket:" in first or "UNIX" in first or "TCP" in first:
            sending.add(thread)
        if found.group("rest").endswith("<unfinished ...>"):
            continue
        names[name] = names.get(name, 0) + 1
        result = re.search(r"= (\d+)(?: |$)", found.group("rest"))
        if thread in sending and name in SENDING and result:
            sent += int(result.group(1))
        sending.discard(thread)
    return phases


def count_system_calls(transport, uri, calls, folder):
    """Of each side a call, by form: {"blocking": {"client": Kernel, "server": Kernel}}."""
    files = {side: os.path.join(folder, "strace.%s.%s" % (transport.scheme, side)) for side in SIDES}
    try:
        subprocess.run(["strace", "-o", "/dev/null", "true"], check=True, stderr=subprocess.PIPE, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise processes.Failed("strace cannot run here, so system calls cannot be counted: %s %s" %
                               (error, getattr(error, "stderr", ""))) from error
    usages = run(transport, uri, calls, "bench_anywire",
                 lambda side: ["strace", "-f", "-y", "-qq", "-s", "0", "-o", files[side]], folder)
    by_form = {form: {} for form in FORMS}
    for side in usages:
        with open(files[side], encoding="utf-8", errors="replace") as file:
            phases = read_strace(file)
        # A server says that it is ready before all notes.
        first = len(phases) - NOTES
        if first != (1 if side == "server" else 0):
            raise processes.Failed("strace saw %d notes of the %s" % (len(phases), side))
        for form in FORMS:
            by_form[form][side] = phases[first + notes_of(form)[1]].per_call(calls_of(form, calls))
    return by_form


# ---- all of them


def summary(transport, user, calls, folder):
    """{form: {what: count per call}}, for a report. `user` makes the places to listen at its own."""
    instructions = Instructions(transport, transport.uri_for("%s-i" % user), calls, folder)
    allocations = count_allocations(transport, transport.uri_for("%s-a" % user), calls, folder)
    kernels = count_system_calls(transport, transport.uri_for("%s-k" % user), calls, folder)
    return {form: {
        "instructions": sum(instructions.of(form).values()),
        "allocations": allocations[form],
        "sent_bytes": sum(kernel.sent for kernel in kernels[form].values()),
        **{side + "_calls": kernel.total() for side, kernel in kernels[form].items()},
    } for form in FORMS}
