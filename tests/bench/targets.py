"""What anywire means to reach, as checks of the results: each target is met, missed, or was not measured."""

import dataclasses

from tests.bench import results as figures
from tests.bench import scenarios, terminal

TCP, UNIX, SHM, INPROC, UDP = "tcp", "unix", "shm", "inproc", "udp"


@dataclasses.dataclass(frozen=True)
class Verdict:
    title: str
    goal: str  # with the figures of this run that it is made of
    measured: str
    met: bool  # None: not measured


def _not_measured(title, made_of, limit, unit):
    return Verdict(title, made_of if limit is None else _goal(made_of, limit, unit), "not measured", None)


class _Look:
    """Medians of the results."""

    def __init__(self, results):
        self._results = results

    def median(self, system, scenario, transport, name, placement=scenarios.TWO_CORES):
        figure = self._results.figure(scenario, transport, placement, system.name, name)
        return figure.median if figure else None

    def best(self, systems, scenario, transport, name, lower=True, placement=scenarios.TWO_CORES):
        known = [value for value in (self.median(system, scenario, transport, name, placement) for system in systems)
                 if value is not None]
        return (min if lower else max)(known) if known else None


def _goal(made_of, limit, unit):
    text = terminal.quantity(limit, unit)
    return "%s: %s" % (made_of, text) if made_of else text


def _at_most(title, goal, measured, limit, unit):
    """`goal` says what `limit` is made of, if it is not a number for itself."""
    if measured is None or limit is None:
        return _not_measured(title, goal, limit, unit)
    return Verdict(title, _goal(goal, limit, unit), terminal.quantity(measured, unit),
                   measured <= limit)


def _at_least(title, goal, measured, limit, unit):
    if measured is None or limit is None:
        return _not_measured(title, goal, limit, unit)
    return Verdict(title, _goal(goal, limit, unit), terminal.quantity(measured, unit),
                   measured >= limit)


def _plus(value, more):
    return None if value is None else value + more


def _times(value, factor):
    return None if value is None else value * factor


def _waiting_calls(look):
    yield _at_most("one 64 B call at a time, udp, p50", "raw spinning + 4 us",
                   look.median(scenarios.ANYWIRE, "unary-64B", UDP, "p50_us"),
                   _plus(look.median(scenarios.RAW_SPINNING, "unary-64B", UDP, "p50_us"), 4), "us")
    for transport, more, part in ((TCP, 3, 8), (UNIX, 2, 12)):
        title = "one 64 B call at a time, %s, p50" % transport
        measured = look.median(scenarios.ANYWIRE, "unary-64B", transport, "p50_us")
        yield _at_most(title, "raw spinning + %d us" % more, measured,
                       _plus(look.median(scenarios.RAW_SPINNING, "unary-64B", transport, "p50_us"), more), "us")
        yield _at_most(title, "1/%d of gRPC" % part, measured,
                       _times(look.best(scenarios.GRPCS, "unary-64B", transport, "p50_us"), 1 / part), "us")
    for transport in (TCP, UNIX):
        yield _at_most("one 64 B call at a time, %s, nobody polls, p50" % transport, "raw blocking x 1.10",
                       look.median(scenarios.ANYWIRE_SLEEPING, "unary-64B", transport, "p50_us"),
                       _times(look.median(scenarios.RAW_BLOCKING, "unary-64B", transport, "p50_us"), 1.10), "us")
    yield _at_most("one 64 B call at a time, shm, p50", "", look.median(scenarios.ANYWIRE, "unary-64B", SHM, "p50_us"), 1.0, "us")
    yield _at_most("one 64 B call at a time, shm, nobody polls, p50", "raw blocking + 3 us",
                   look.median(scenarios.ANYWIRE_SLEEPING, "unary-64B", SHM, "p50_us"),
                   _plus(look.median(scenarios.RAW_BLOCKING, "unary-64B", SHM, "p50_us"), 3), "us")
    yield _at_most("one 1 MiB call at a time, shm, p50", "raw x 1.5",
                   look.best((scenarios.ANYWIRE, scenarios.ANYWIRE_SLEEPING), "unary-1MiB", SHM, "p50_us"),
                   _times(look.best(scenarios.FLOORS, "unary-1MiB", SHM, "p50_us"), 1.5), "us")
    for scenario, placement, where in (("unary-64B", scenarios.ONE_CORE, "both on one core"),
                                       ("crowded-64B", scenarios.UNPINNED, "while another process computes")):
        yield _at_most("one 64 B call at a time, shm, %s, p50" % where, "our Unix transport",
                       look.median(scenarios.ANYWIRE, scenario, SHM, "p50_us", placement),
                       look.median(scenarios.ANYWIRE, scenario, UNIX, "p50_us", placement), "us")
    yield _at_most("one 64 B call at a time, inproc, p50", "",
                   look.best((scenarios.ANYWIRE,), "unary-64B", INPROC, "p50_us", placement=scenarios.UNPINNED), 0.5, "us")


def _in_flight(look):
    for number, transport, fixed in ((64, TCP, 1.2e6), (64, UNIX, 1.5e6), (64, SHM, 3e6), (512, TCP, 2e6), (64, UDP, 4e5)):
        title = "64 B, %d in flight, %s, callbacks" % (number, transport)
        scenario = "in-flight-%d" % number
        measured = look.best((scenarios.ANYWIRE, scenarios.ANYWIRE_SLEEPING), scenario, transport, "per_s", lower=False)
        yield _at_least(title, "", measured, fixed, "calls/s")
        if number == 64 and transport in (TCP, UNIX):
            yield _at_least(title, "a third of the hand-written ceiling", measured,
                            _times(look.best(scenarios.FLOORS, scenario, transport, "per_s", lower=False), 1 / 3), "calls/s")
    for placement in (scenarios.TWO_CORES, scenarios.UNPINNED):
        yield _at_least("8 threads share a channel, tcp, %s" % placement, "what one thread makes",
                        look.median(scenarios.ANYWIRE, "threads-8", TCP, "per_s", placement),
                        look.median(scenarios.ANYWIRE, "threads-1", TCP, "per_s", placement), "calls/s")


def _streams(look):
    for transport in (TCP, UNIX, SHM):
        yield _at_least("1 MiB messages one way, %s" % transport, "90 % of raw",
                        look.best((scenarios.ANYWIRE, scenarios.ANYWIRE_SLEEPING), "stream-up-1MiB", transport,
                                  "bytes_per_s", lower=False),
                        _times(look.best(scenarios.FLOORS, "stream-up-1MiB", transport, "bytes_per_s", lower=False), 0.9),
                        "B/s")


    udp = look.best((scenarios.ANYWIRE, scenarios.ANYWIRE_SLEEPING), "stream-up-1MiB", UDP, "bytes_per_s", lower=False)
    tcp = look.best((scenarios.ANYWIRE, scenarios.ANYWIRE_SLEEPING), "stream-up-1MiB", TCP, "bytes_per_s", lower=False)
    yield _at_least("1 MiB messages one way, udp", "60 % of tcp", udp, _times(tcp, 0.6), "B/s")
    yield _at_least("1 MiB messages one way, udp", "", udp, 1e9, "B/s")
    yield _at_most("one 64 B call at a time beside two 1 MiB streams, udp, p99", "3 x without",
                   look.best((scenarios.ANYWIRE, scenarios.ANYWIRE_SLEEPING), "beside-bulk", UDP, "p99_us"),
                   _times(look.best((scenarios.ANYWIRE,), "unary-64B", UDP, "p99_us"), 3), "us")


def _counts(counts):
    """`counts` as counting.summary gives them; None when nothing was counted."""
    def of(form, name):
        found = [values[form][name] for scheme, values in (counts or {}).items() if scheme in (TCP, UNIX)]
        return max(found) if found else None

    yield _at_most("user instructions a blocking call, both sides, sockets", "", of("blocking", "instructions"), 3000, "")
    for form, limit in (("blocking", 0), ("coroutine", 2), ("callback", 1)):
        measured = of(form, "allocations")
        yield _at_most("heap allocations a %s call beyond protobuf's" % form, "",
                       None if measured is None else round(measured, 1) + 0.0, limit, "")  # no "-0"
    for side in ("client", "server"):
        yield _at_most("system calls of a blocking call, %s, sockets" % side, "",
                       of("blocking", side + "_calls"), 2.1, "")
        yield _at_most("system calls a call with 64 in flight, %s, sockets" % side, "",
                       of("in-flight", side + "_calls"), 0.125, "")


def _connections(look):
    for transport, limit in ((TCP, 4096), (UNIX, 4096), (UDP, 8192)):
        for side in ("client", "server"):
            yield _at_most("heap of an idle connection, %s, %s" % (transport, side), "",
                           look.median(scenarios.ANYWIRE, "idle", transport, side + "_heap_bytes", scenarios.UNPINNED),
                           limit, "B")
    for transport in (TCP, UNIX):
        yield _at_most("connection and first call, %s, p50" % transport, "raw connection and round trip + 50 us",
                       look.median(scenarios.ANYWIRE, "connect", transport, "p50_us"),
                       _plus(look.median(scenarios.RAW_BLOCKING, "connect", transport, "p50_us"), 50), "us")
        yield _at_most("processor time a call at 1,000 calls/s, %s, nobody polls" % transport, "raw + 10 us",
                       look.median(scenarios.ANYWIRE_SLEEPING, "low-rate", transport, "cpu_us"),
                       _plus(look.median(scenarios.RAW_BLOCKING, "low-rate", transport, "cpu_us"), 10), "us")
    yield _at_most("connection and first call, shm, p50", "", look.median(scenarios.ANYWIRE, "connect", SHM, "p50_us"),
                   300, "us")


def _losses(look):
    for scenario, loss, name, title, limit in (("lossy-1%-1ms", 1, "p99_us", "p99", 3000), ("lossy-1%-1ms", 1, "p999_us", "p99.9", 6000),
                                               ("lossy-5%", 5, "p99_us", "p99", 6000)):
        yield _at_most("one 64 B call at a time, udp, %d %% lost each way, 1 ms there and back, %s" % (loss, title), "",
                       look.best((scenarios.ANYWIRE, scenarios.ANYWIRE_SLEEPING), scenario, UDP, name,
                                 placement=scenarios.UNPINNED), limit, "us")


def verdicts(results, counts=None):
    """All targets, in order."""
    look = _Look(results)
    found = []
    for part in (_waiting_calls(look), _in_flight(look), _streams(look), _counts(counts), _connections(look), _losses(look)):
        found += part
    return found


# ---- beside gRPC: never slower, and never larger


BETTER, EVEN, WORSE = "better", "even", "worse"


@dataclasses.dataclass(frozen=True)
class Comparison:
    scenario: str
    transport: str
    placement: str
    of_memory: bool  # not of time
    outcome: str
    ratio: float  # how many times better than the best of gRPC's; below 1: worse


def beside_grpc(results, table=scenarios.SCENARIOS):
    """anywire as it is by default beside the better one of gRPC's APIs, wherever both were measured.

    At a part of its own capacity each has another load, and where packets are lost it is the kernel's TCP that waits for 200 ms
    under all of them, so those are not compared. Figures whose spreads meet are even.
    """
    comparisons = []
    for scenario in table:
        if scenario.of_capacity or scenario.path:
            continue
        for row in results.rows():
            if row.scenario != scenario.name or row.system != scenarios.ANYWIRE.name or not row.samples:
                continue
            metric = scenario.metric
            ours = row.summary()[metric.name]
            theirs = [figure for figure in (
                results.figure(scenario.name, row.transport, row.placement, system.name, metric.name)
                for system in scenarios.GRPCS) if figure]
            if not theirs:
                continue
            best = (min if metric.lower_is_better else max)(theirs, key=lambda figure: figure.median)
            better, worse = (ours, best) if metric.lower_is_better else (best, ours)
            ratio = worse.median / better.median if better.median else float("inf")
            if figures.overlap(ours, best):
                outcome = EVEN
            else:
                outcome = BETTER if ratio > 1 else WORSE
            comparisons.append(Comparison(
                scenario.name, row.transport, row.placement, metric is scenarios.MEMORY, outcome, ratio))
    return comparisons


def claims(comparisons):
    """What is claimed of them: for each claim its text, how many it is of, and those that contradict it."""
    for text, of_memory in (("never slower than gRPC", False), ("never more memory than gRPC", True)):
        those = [one for one in comparisons if one.of_memory == of_memory]
        if those:
            yield text, len(those), [one for one in those if one.outcome == WORSE]
