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
from tests.bench import processes, results, scenarios, terminal  # noqa: E402

# What --quick may take, without the time that programs need to start, which is estimated.
QUICK_SECONDS = 150
START_SECONDS = 0.25


def transports_of(folder):
    """anywire's transports, as its registry lists them."""
    with processes.Program([processes.program("bench_anywire"), "transports", folder]) as program:
        found = []
        with contextlib.suppress(processes.Failed):  # the end of its output
            while True:
                found.append(scenarios.Transport(**json.loads(program.read_line(60))))
    if not found:
        raise processes.Failed("bench_anywire lists no transports")
    return found


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


class Progress:
    """One line at the bottom of a terminal; nothing elsewhere."""

    def __init__(self, runs, seconds_each):
        self._runs = runs
        self._done = 0
        self._guess = seconds_each
        self._start = time.monotonic()
        self._shown = sys.stderr.isatty()

    def left(self):
        # The guess counts as ten runs.
        spent = time.monotonic() - self._start
        each = (spent + 10 * self._guess) / (self._done + 10)
        return each * (self._runs - self._done)

    def begin(self, what):
        if self._shown:
            sys.stderr.write("\r\033[K[%d of %d, %s left] %s" %
                             (self._done + 1, self._runs, terminal.duration(self.left()), what))
            sys.stderr.flush()

    def end(self):
        self._done += 1

    def clear(self):
        if self._shown:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()


class Runner:

    def __init__(self, folder, cores, seconds, rounds, progress):
        self._folder = folder
        self._cores = cores
        self._seconds = seconds
        self._rounds = rounds
        self._progress = progress
        self._capacities = {}  # calls/s, by transport, placement and system
        self._uris = 0
        self.results = results.Results()

    def run(self, group):
        """Measures a group, system by system, round by round."""
        rows = {system.name: results.Row(group.scenario.name, group.transport.scheme, group.placement, system.name)
                for system in group.systems}
        with contextlib.ExitStack() as stack:
            servers = {}
            for system in group.systems:
                with self._errors_of(rows[system.name]):
                    servers[system.name] = stack.enter_context(self._server(system, group))
            for turn in range(self._rounds):
                for system in group.systems:
                    row = rows[system.name]
                    self._progress.begin("%s, %s, %s: %s, round %d" % (
                        group.scenario.name, group.transport.scheme, group.placement, system.name, turn + 1))
                    if not row.error:
                        with self._errors_of(row):
                            self._round(row, system, group, servers[system.name], turn)
                    self._progress.end()
        for row in rows.values():
            self.results.add(row)
        self._progress.clear()
        return list(rows.values())

    @contextlib.contextmanager
    def _errors_of(self, row):
        """One that fails leaves the others alone."""
        try:
            yield
        except (processes.Failed, ValueError) as error:
            row.error = str(error)

    def _environment(self, system):
        path = os.path.join(self._folder, re.sub(r"\W+", "-", system.name) + ".textproto")
        with open(path, "w", encoding="utf-8") as file:
            file.write(system.config)
        return {"ANYWIRE_CONFIG": path}

    def _uri(self, transport):
        """Where a system listens: not two at the same place."""
        self._uris += 1
        if transport.uri.startswith("tcp:"):
            return transport.uri
        return "%s.%d" % (transport.uri, self._uris)

    def _server(self, system, group):
        """A context: a server program, or nothing where both sides are one process."""
        if group.transport.in_process:
            return contextlib.nullcontext()
        cores, _ = scenarios.cores_of(group.placement, self._cores)
        return processes.Server(
            processes.pinned([processes.program(system.program), "server", self._uri(group.transport)]
                             + processes.words(self._words(system, group)), cores),
            self._environment(system))

    @staticmethod
    def _words(system, group):
        return {**system.parameters, **group.scenario.load}

    def _client(self, system, group, server, load):
        _, cores = scenarios.cores_of(group.placement, self._cores)
        role = ["client", server.address, str(server.pid)] if server else ["both", self._uri(group.transport)]
        return processes.pinned(
            [processes.program(system.program)] + role + processes.words({**self._words(system, group), **load}),
            cores)

    def _measure(self, system, group, server, load):
        return processes.run_client(
            self._client(system, group, server, {"seconds": self._seconds, **load}),
            self._environment(system), timeout=60 + 4 * self._seconds)

    def _round(self, row, system, group, server, turn):
        start, busy = time.monotonic(), busy_seconds()
        own = children_seconds() + (used_seconds(server.pid) if server else 0)
        if group.scenario.load.get("pattern") == "idle":
            sample = self._idle(system, group, server)
        else:
            load = {}
            if group.scenario.of_capacity:
                load = {"rate": group.scenario.of_capacity * self._capacity(system, group, server), "seed": turn + 1}
            sample = results.sample_of(self._measure(system, group, server, load))
        own = children_seconds() + (used_seconds(server.pid) if server else 0) - own
        row.samples.append(sample)
        row.others.append(max(0.0, (busy_seconds() - busy - own) / (time.monotonic() - start)))

    def _capacity(self, system, group, server):
        """Calls a second, started as those of the open loop are."""
        key = group.transport.scheme, group.placement, system.name
        if key not in self._capacities:
            report = self._measure(system, group, server, {"rate": 0})
            self._capacities[key] = results.sample_of(report)["per_s"]
        return self._capacities[key]

    def _idle(self, system, group, server):
        command = self._client(system, group, server, {})
        with processes.Program(command, self._environment(system)) as client:
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
    parser.add_argument("--seconds", type=float, help="how long each time (1; with --quick what the time allows)")
    parser.add_argument("--json", metavar="FILE", default="bench.json", help="all figures (default: %(default)s)")
    parser.add_argument("--html", metavar="FILE", default="bench.html", help="the report (default: %(default)s)")
    options = parser.parse_args(arguments)
    if options.rounds is None:
        options.rounds = 3 if options.quick else 5
    if options.rounds < 1 or (options.seconds is not None and options.seconds <= 0):
        parser.error("--rounds and --seconds are above zero")
    return options


def seconds_each(options, runs):
    if options.seconds:
        return options.seconds
    if not options.quick:
        return 1.0
    # A fifth more is warm-up.
    return max(0.05, min(0.5, (QUICK_SECONDS / runs - START_SECONDS) / 1.2))


def main(arguments):
    options = options_of(arguments)
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="bench-") as folder:
        groups = scenarios.plan(transports_of(folder), len(cores), options.quick, options.only)
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
        seconds = seconds_each(options, runs)
        about = machine()
        print("%(processor)s, %(cores)d cores, Linux %(kernel)s, TCP congestion control %(tcp_congestion_control)s" % about)
        print("%d runs of %.2g s, %d rounds: about %s" %
              (runs, seconds, options.rounds, terminal.duration(runs * (1.2 * seconds + START_SECONDS))))
        print("Figures are medians of the rounds (lowest - highest); times in us; client, server: processor time of each side "
              "a call; others: cores that other programs kept busy", flush=True)
        progress = Progress(runs, 1.2 * seconds + START_SECONDS)
        runner = Runner(folder, cores, seconds, options.rounds, progress)
        failed = 0
        for group in groups:
            rows = runner.run(group)
            failed += sum(1 for row in rows if row.error)
            print("\n%s - %s, %s" % (group.scenario.title, group.transport.scheme, group.placement))
            print(terminal.heading(group.scenario.metric))
            for row in rows:
                print(terminal.row_text(row, group.scenario.metric), flush=True)
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"machine": about, "seconds": seconds, "rounds": options.rounds,
                       "rows": [dataclasses.asdict(row) for row in runner.results.rows()]}, file, indent=1)
            file.write("\n")
        print("\n%s has all figures" % options.json)
    return 1 if failed else 0


def run():
    # Ended by a signal, it ends its programs as after Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
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
