"""Blocking unary calls of 64 bytes, one at a time: anywire, gRPC C++ and hand-written sockets, side by side.

Client and server are separate processes. The three take turns, round by round, so that what disturbs the machine disturbs
all of them; shown are medians over the rounds, with the lowest and the highest. Started by tools/bench_small.
"""

import argparse
import collections
import contextlib
import os
import socket
import statistics
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", ".."))
from tests.bench import echo_processes  # noqa: E402

SYSTEMS = ["raw", "anywire", "grpc"]
NAMES = {"raw": "hand-written", "anywire": "anywire", "grpc": "gRPC C++"}


def free_port():
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def congestion_control():
    try:
        with open("/proc/sys/net/ipv4/tcp_congestion_control", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return "unknown"


def measure(transport, cores, calls, rounds, folder):
    """The reports of each system: a list of one per round."""
    server_core, client_core = cores
    uris = {system: "unix://%s/%s" % (folder, system) if transport == "unix" else
            "tcp://127.0.0.1:%d" % free_port() for system in SYSTEMS}
    reports = collections.defaultdict(list)
    with contextlib.ExitStack() as servers:
        for system in SYSTEMS:
            path = echo_processes.program("echo_" + system)
            servers.enter_context(echo_processes.Server(
                echo_processes.pinned([path, "server", uris[system]], server_core)))
        for _ in range(rounds):
            for system in SYSTEMS:
                path = echo_processes.program("echo_" + system)
                reports[system].append(echo_processes.run_client(echo_processes.pinned(
                    [path, "client", uris[system], str(calls)], client_core)))
    return reports


def show(reports):
    def median(system, key):
        return statistics.median(report[key] for report in reports[system])

    print("  %-13s %25s %9s %9s %14s %14s" %
          ("", "p50 us (lowest - highest)", "p99 us", "calls/s", "client CPU us", "server CPU us"))
    for system in SYSTEMS:
        p50s = [report["p50_us"] for report in reports[system]]
        print("  %-13s %9.1f (%5.1f - %6.1f) %9.1f %9.0f %14.1f %14.1f" % (
            NAMES[system], statistics.median(p50s), min(p50s), max(p50s), median(system, "p99_us"),
            1e6 / median(system, "mean_us"), median(system, "client_cpu_us"),
            median(system, "server_cpu_us")))
    anywire = median("anywire", "p50_us")
    print("  anywire's p50 is %.2f times gRPC's, %.2f times the hand-written one's" %
          (anywire / median("grpc", "p50_us"), anywire / median("raw", "p50_us")), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=3000, help="in a run")
    parser.add_argument("--rounds", type=int, default=7, help="5 at least, for a median worth the name")
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    pinnings = [("unpinned", (None, None))]
    if len(cores) > 1:
        pinnings.insert(0, ("one core each", (cores[0], cores[1])))
    print("%d calls in a run, %d rounds; TCP congestion control of all three: %s (the system's)" %
          (options.calls, options.rounds, congestion_control()))
    for transport in ("unix", "tcp"):
        for name, pinning in pinnings:
            print("\n%s, %s" % (transport, name), flush=True)
            with tempfile.TemporaryDirectory(dir="/tmp", prefix="bench-") as folder:
                show(measure(transport, pinning, options.calls, options.rounds, folder))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
