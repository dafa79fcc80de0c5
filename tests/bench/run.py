"""anywire beside gRPC, Cap'n Proto and hand-written code, in the scenarios of scenarios.py. Started by tools/bench."""

import argparse
import contextlib
import dataclasses
import json
import os
import re
import signal
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", ".."))
from tests.bench import budgets, counting, paths, processes, report, results, scenarios, targets, terminal, transports  # noqa: E402

# How long the measurements of --quick may go on.
QUICK_SECONDS = 160
# What a run takes beside its measurement, until that is known.
START_SECONDS = 0.25
# How long each measurement takes otherwise.
FULL_SECONDS = 0.7
# Cores that other programs may use without a word about it.
DISTURBED = 0.2


def busy_seconds():
    """Processor time of everybody on this machine, so far."""
    with open("/proc/stat", encoding="ascii") as file:
        fields = [int(field) for field in file.readline().split()[1:]]
    user, nice, system, _, _, irq, softirq, steal = fields[:8]
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def used_seconds(pid):
    with open("/proc/%d/stat" % pid, encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def children_seconds():
    times = os.times()
    return times.children_user + times.children_system


class Pace:
    """How long each run measures, and how long it will all take."""

    def __init__(self, runs, seconds=None, limit=None, clock=time.monotonic):
        """`seconds` for each, or all within `limit` seconds."""
        self._runs = runs
        self._seconds = seconds
        self._clock = clock
        self._start = clock()
        self._limit = limit
        self._done = 0
        self._measured = 0.0

    def _beside(self):
        """What a run takes beside its measurement; the guess counts as ten runs."""
        spent = self._clock() - self._start - self._measured
        return (spent + 10 * START_SECONDS) / (self._done + 10)

    def seconds(self):
        """For the run that is next."""
        if self._seconds:
            return self._seconds
        left = (self._start + self._limit - self._clock()) / max(1, self._runs - self._done)
        # A fifth more is warm-up.
        return max(0.05, min(0.5, (left - self._beside()) / 1.2))

    def left(self):
        return (self._beside() + 1.2 * self.seconds()) * (self._runs - self._done)

    def mean(self):
        """How long the runs so far have measured."""
        return self._measured / 1.2 / self._done if self._done else self.seconds()

    def place(self):
        return "%d of %d" % (self._done + 1, self._runs)

    def end(self, seconds):
        """A run has ended that measured for so long."""
        self._done += 1
        self._measured += 1.2 * seconds


class Progress:
    """One line at the bottom of a terminal; nothing elsewhere."""

    def __init__(self, pace):
        self._pace = pace
        self._shown = sys.stderr.isatty()

    def show(self, what):
        if self._shown:
            sys.stderr.write("\r\033[K[%s, %s left] %s" % (self._pace.place(), terminal.duration(self._pace.left()), what))
            sys.stderr.flush()

    def clear(self):
        if self._shown:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()


class Runner:

    def __init__(self, folder, cores, rounds, pace):
        self._folder = folder
        self._cores = cores
        self._rounds = rounds
        self._pace = pace
        self._progress = Progress(pace)
        self._capacities = {}  # calls/s, by transport, placement and system
        self._uris = 0
        self.results = results.Results()

    def run(self, group):
        """Measures a group, system by system, round by round."""
        rows = {system.name: results.Row(group.scenario.name, group.transport.scheme, group.placement, system.name)
                for system in group.systems}
        with contextlib.ExitStack() as stack:
            ours = [stack.enter_context(processes.computing())] if group.scenario.crowded else []
            try:
                self._path = stack.enter_context(paths.of(group.scenario, group.transport))
            except paths.Absent as absent:
                return self._skip(rows, absent)
            servers = {}
            for system in group.systems if not _is_idle(group) else ():
                with self._errors_of(rows[system.name]):
                    servers[system.name] = self._serve(stack, system, group)
            ours += self._path.pids
            for turn in range(self._rounds):
                for system in group.systems:
                    row = rows[system.name]
                    self._seconds = max(self._pace.seconds(), group.scenario.seconds)
                    self._progress.show("%s, %s, %s: %s, round %d" % (
                        group.scenario.name, group.transport.scheme, group.placement, system.name, turn + 1))
                    if not row.error:
                        with self._errors_of(row):
                            self._round(row, system, group, servers.get(system.name), ours, turn)
                    self._pace.end(self._seconds)
        for row in rows.values():
            self.results.add(row)
        self._progress.clear()
        return list(rows.values())

    def _skip(self, rows, reason):
        for row in rows.values():
            row.skipped = str(reason)
            self.results.add(row)
            for _ in range(self._rounds):
                self._pace.end(0)
        return list(rows.values())

    @contextlib.contextmanager
    def _errors_of(self, row):
        """One that fails leaves the others alone."""
        try:
            yield
        except (processes.Failed, ValueError) as error:
            row.error = getattr(error, "reason", str(error))
            row.failed_command = str(error)

    def _environment(self, system):
        path = os.path.join(self._folder, re.sub(r"\W+", "-", system.name) + ".textproto")
        with open(path, "w", encoding="utf-8") as file:
            file.write(system.config)
        return {"ANYWIRE_CONFIG": path}

    def _uri(self, transport):
        """Where a system listens: not two at the same place."""
        self._uris += 1
        return self._path.uri(transport, self._uris)

    def _serve(self, stack, system, group):
        """A server program, for as long as `stack` says, or nothing where both sides are one process."""
        if group.transport.in_process:
            return None
        cores, _ = scenarios.cores_of(group.placement, self._cores)
        server = stack.enter_context(processes.Server(
            self._path.command(processes.pinned(
                [processes.program(system.program), "server", self._uri(group.transport)]
                + processes.words(self._words(system, group)), cores)),
            self._environment(system)))
        server.address = self._path.client_address(server.address)
        return server

    @staticmethod
    def _words(system, group):
        return {**system.parameters, **group.scenario.load}

    def _client(self, system, group, server, load):
        _, cores = scenarios.cores_of(group.placement, self._cores)
        role = ["client", server.address, str(server.pid)] if server else ["both", self._uri(group.transport)]
        return self._path.command(processes.pinned(
            [processes.program(system.program)] + role + processes.words({**self._words(system, group), **load}),
            cores))

    def _measure(self, system, group, server, load):
        return processes.run_client(
            self._client(system, group, server, {"seconds": self._seconds, **load}),
            self._environment(system), timeout=60 + 4 * self._seconds)

    def _round(self, row, system, group, server, ours, turn):
        """`ours`: processes that run beside it for its sake."""
        def own_seconds():
            return children_seconds() + sum(map(used_seconds, ours + ([server.pid] if server else [])))

        start, busy, own = time.monotonic(), busy_seconds(), own_seconds()
        if _is_idle(group):
            sample = self._idle(system, group)
        else:
            load = {}
            if group.scenario.of_capacity:
                load = {"rate": group.scenario.of_capacity * self._capacity(system, group, server), "seed": turn + 1}
            sample = results.sample_of(self._measure(system, group, server, load))
        own = own_seconds() - own
        row.samples.append(sample)
        row.others.append(max(0.0, (busy_seconds() - busy - own) / (time.monotonic() - start)))

    def _capacity(self, system, group, server):
        """Calls a second, started as those of the open loop are."""
        key = group.transport.scheme, group.placement, system.name
        if key not in self._capacities:
            report = self._measure(system, group, server, {"rate": 0})
            self._capacities[key] = results.sample_of(report)["per_s"]
        return self._capacities[key]

    def _idle(self, system, group):
        # A server of its own each time: one that has had connections before has memory for them.
        with contextlib.ExitStack() as stack:
            server = self._serve(stack, system, group)
            client = stack.enter_context(
                processes.Program(self._client(system, group, server, {}), self._environment(system)))
            client_usage, server_usage = [], []
            for _ in range(2):
                client_usage.append(json.loads(client.read_line(120)))
                server_usage.append(server.usage() if server else client_usage[-1])
                client.say("go on")
        connections = group.scenario.load["connections"]
        sample = results.idle_sample(connections, client_usage, server_usage)
        if not server:  # one process: all of it is the client's
            sample = {name: value for name, value in sample.items() if not name.startswith("server")}
        return sample


def _is_idle(group):
    return group.scenario.load.get("pattern") == "idle"


def congestion_control():
    """The one that congestion.cc finds, as every program does."""
    with open("/proc/sys/net/ipv4/tcp_available_congestion_control", encoding="ascii") as file:
        available = file.read().split()
    for name in ("cubic", "reno"):
        if name in available:
            return name
    with open("/proc/sys/net/ipv4/tcp_congestion_control", encoding="ascii") as file:
        return file.read().strip() + " (the system's)"


def machine():
    def first(path, pattern):
        with contextlib.suppress(OSError):
            with open(path, encoding="utf-8", errors="replace") as file:
                found = re.search(pattern, file.read(), re.M)
                return found.group(1).strip() if found else "unknown"
        return "unknown"

    return {
        "processor": first("/proc/cpuinfo", r"^model name\s*: (.*)$"),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": os.uname().release,
        "tcp_congestion_control": congestion_control(),
        "date": time.strftime("%Y-%m-%d %H:%M"),
    }


def options_of(arguments):
    parser = argparse.ArgumentParser(prog="tools/bench", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a selection in at most three minutes")
    parser.add_argument("--only", metavar="REGEX", type=re.compile,
                        help='rows whose name has it; a name is "SCENARIO/TRANSPORT/PLACEMENT/SYSTEM"')
    parser.add_argument("--list", action="store_true", help="name the rows, and measure nothing")
    parser.add_argument("--rounds", type=int, help="how often each is measured (5; with --quick 3)")
    parser.add_argument("--seconds", type=float, help="how long each time (0.7; with --quick what the time allows)")
    parser.add_argument("--json", metavar="FILE", default="bench.json", help="all figures (default: %(default)s)")
    parser.add_argument("--html", metavar="FILE", default="bench.html", help="the report (default: %(default)s)")
    options = parser.parse_args(arguments)
    if options.rounds is None:
        options.rounds = 3 if options.quick else 5
    if options.rounds < 1 or (options.seconds is not None and options.seconds <= 0):
        parser.error("--rounds and --seconds are above zero")
    return options


def count(registered, folder):
    """What calls cost over each transport, counted, by scheme."""
    print("\nCounted, a call: user instructions and allocations beyond protobuf's of both sides, system calls of each, bytes to sockets")
    counts = {}
    for transport in registered:
        counts[transport.scheme] = counting.summary(transport, "counted", budgets.CALLS, folder)
        for form, values in counts[transport.scheme].items():
            print("  %-14s %-10s %s" % (transport.scheme, form, "  ".join(
                "%s %s" % (name, terminal.number(value)) for name, value in values.items())), flush=True)
    return counts


def show_targets(found, counts):
    print()
    for verdict in targets.verdicts(found, counts):
        if verdict.met is not None:
            print("%-7s %-66s %s; goal: %s" % (
                "met" if verdict.met else "missed", verdict.title, verdict.measured, verdict.goal))
    for text, count, worse in targets.claims(targets.beside_grpc(found)):
        print("%-7s %s: %d of %d configurations are worse" % ("missed" if worse else "met", text, len(worse), count))
        for one in worse:
            print("          %s/%s/%s: %.2f times as good" % (one.scenario, one.transport, one.placement, one.ratio))


def main(arguments):
    options = options_of(arguments)
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="bench-") as folder:
        groups = scenarios.plan(transports.registered(folder), len(cores), options.quick, options.only)
        if not groups:
            print("tools/bench: no row has %r in its name; tools/bench --list shows them" %
                  options.only.pattern, file=sys.stderr)
            return 2
        if options.list:
            for group in groups:
                for system in group.systems:
                    print(scenarios.row_name(group.scenario, group.transport, group.placement, system))
            return 0
        runs = options.rounds * sum(len(group.systems) for group in groups)
        pace = Pace(runs, options.seconds or (None if options.quick else FULL_SECONDS), QUICK_SECONDS)
        about = machine()
        print("%(processor)s, %(cores)d cores, Linux %(kernel)s, TCP congestion control %(tcp_congestion_control)s" % about)
        print("%d runs of %.2g s, %d rounds: about %s" %
              (runs, pace.seconds(), options.rounds, terminal.duration(pace.left())))
        print("Figures are medians of the rounds (lowest - highest); times in us; client, server: processor time of each side "
              "a call; others: cores that other programs kept busy", flush=True)
        runner = Runner(folder, cores, options.rounds, pace)
        failed = 0
        for group in groups:
            rows = runner.run(group)
            failed += sum(1 for row in rows if row.error)
            print("\n%s - %s, %s" % (group.scenario.title, group.transport.scheme, group.placement))
            print(terminal.heading(group.scenario))
            for row in rows:
                print(terminal.row_text(row, group.scenario), flush=True)
        counts = None
        if not options.quick and not options.only:
            counts = count(transports.registered(folder), folder)
        show_targets(runner.results, counts)
        settings = {"rounds": options.rounds, "seconds_each": round(pace.mean(), 2)}
        if runner.results.others() is not None:
            settings["cores_kept_busy_by_other_programs"] = round(runner.results.others(), 2)
            if runner.results.others() > DISTURBED:
                print("Other programs kept %.1f cores busy meanwhile: trust ratios within one table only, and those little." %
                      runner.results.others())
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"machine": about, "settings": settings, "counts": counts,
                       "rows": [dataclasses.asdict(row) for row in runner.results.rows()]}, file, indent=1)
            file.write("\n")
        with open(options.html, "w", encoding="utf-8") as file:
            file.write(report.page(about, settings, runner.results, counts))
        print("\nThe report is %s, all figures are in %s." % (options.html, options.json))
    return 1 if failed else 0


def run():
    # Whichever of these ends it, it ends its programs first, also where its parent ignored them.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        return main(sys.argv[1:])
    except KeyboardInterrupt:
        print("\ntools/bench: interrupted", file=sys.stderr)
        return 130
    except processes.Failed as error:
        print("tools/bench: %s" % error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(run())
