"""What is measured: the systems, the scenarios and where they run, as values. A new scenario is a line of SCENARIOS."""

import dataclasses

from tests.bench import transports


# ---- what a figure is


@dataclasses.dataclass(frozen=True)
class Metric:
    name: str  # of a member of a sample (results.py)
    title: str
    lower_is_better: bool


P50 = Metric("p50_us", "p50, us", True)
P99 = Metric("p99_us", "p99, us", True)
CALLS = Metric("per_s", "calls/s", False)
MESSAGES = Metric("per_s", "messages/s", False)
BYTES = Metric("bytes_per_s", "bytes/s", False)
PROCESSOR = Metric("cpu_us", "processor time of both sides, us a call", True)
MEMORY = Metric("client_heap_bytes", "client's heap a connection, bytes", True)


# ---- where it runs

TWO_CORES = "a core each"  # the client on one, the server on another
ONE_CORE = "one core"  # both on the same
UNPINNED = "unpinned"
PLACEMENTS = (TWO_CORES, ONE_CORE, UNPINNED)


def cores_of(placement, cores):
    """The cores of the server and of the client, of those that there are; None for any."""
    if placement == TWO_CORES:
        return (cores[1],), (cores[0],)
    if placement == ONE_CORE:
        return (cores[0],), (cores[0],)
    return None, None


# ---- who is measured


@dataclasses.dataclass(frozen=True)
class System:
    name: str  # "anywire, adaptive": with how it waits
    program: str
    parameters: dict = dataclasses.field(default_factory=dict, hash=False)
    config: str = ""  # anywire's configuration
    schemes: tuple = None  # None: all of anywire's transports
    # The only scenarios over a transport, by its scheme, where it cannot do all.
    only: dict = dataclasses.field(default_factory=dict, hash=False)
    in_process: bool = True  # whether it has a form for transports inside the process
    placements: tuple = PLACEMENTS
    spins: bool = False  # whether it may poll instead of sleeping


# There is no floor for more than a datagram to and fro that is no protocol.
_FLOOR_OF_DATAGRAMS = {"udp": ("unary-0B", "unary-64B", "unary-1.5KB", "crowded-64B")}
RAW_SPINNING = System("raw, spinning", "bench_raw", {"wait": "spin"},
                      schemes=("tcp", "unix", "unix-abstract", "shm", "udp"), only=_FLOOR_OF_DATAGRAMS, in_process=False,
                      placements=(TWO_CORES,), spins=True)
RAW_BLOCKING = System("raw, blocking", "bench_raw", {"wait": "block"},
                      schemes=("tcp", "unix", "unix-abstract", "shm", "inproc", "udp"), only=_FLOOR_OF_DATAGRAMS)
ANYWIRE = System("anywire, adaptive", "bench_anywire", spins=True)
ANYWIRE_SLEEPING = System("anywire, sleeping", "bench_anywire", config='runtime { max_spin: "0s" }\n')
GRPC_SYNC = System("gRPC, sync", "bench_grpc", {"api": "sync"}, schemes=("tcp", "unix", "inproc"))
GRPC_CALLBACK = System("gRPC, callback", "bench_grpc", {"api": "callback"},
                       schemes=("tcp", "unix", "inproc"))
CAPNP = System("Cap'n Proto", "bench_capnp", schemes=("tcp", "unix"), in_process=False)

# In the order in which they take turns.
SYSTEMS = (RAW_SPINNING, RAW_BLOCKING, ANYWIRE, ANYWIRE_SLEEPING, GRPC_SYNC, GRPC_CALLBACK, CAPNP)
FLOORS = (RAW_SPINNING, RAW_BLOCKING)
GRPCS = (GRPC_SYNC, GRPC_CALLBACK)


# ---- what is done


@dataclasses.dataclass(frozen=True)
class Scenario:
    name: str
    title: str
    metric: Metric
    load: dict = dataclasses.field(hash=False)  # the words of load.h
    placements: tuple = (TWO_CORES, ONE_CORE)
    without: tuple = ()  # systems that cannot do it, or where it means nothing
    # In --quick: over these transports, on a core each (where there are two).
    quick: tuple = ()
    # None, or at which part of a system's capacity calls are due.
    of_capacity: float = None
    crowded: bool = False  # another process computes meanwhile
    schemes: tuple = None  # the transports it is about; None: all
    # None, or what lies between client and server, as the words of tests/support/path_words.h.
    path: dict = dataclasses.field(default=None, hash=False)
    seconds: float = 0  # each measurement takes so long at least, for what is rare to happen
    note: str = ""

    def __post_init__(self):
        for placement in self.placements:
            if placement not in PLACEMENTS:
                raise ValueError("%s: no such placement: %s" % (self.name, placement))


def _unary(name, size, quick):
    return Scenario("unary-" + name, "one call at a time, " + name, P50, {"size": size},
                    placements=PLACEMENTS, quick=quick)


def _in_flight(number, quick):
    return Scenario("in-flight-%d" % number, "64 B, %d in flight on one connection, callbacks" % number,
                    CALLS, {"size": 64, "in_flight": number}, quick=quick)


def _open(percent, quick):
    return Scenario("open-%d" % percent, "64 B, calls due at random times, %d %% of capacity" % percent,
                    P99, {"size": 64, "pattern": "open"}, placements=(TWO_CORES,), without=(CAPNP,),
                    of_capacity=percent / 100, quick=quick,
                    note="Latency counts from the time at which a call was due. Cap'n Proto's client has one thread, "
                    "which waits in its loop: nobody could start calls on time.")


def _lossy(name, title, loss):
    return Scenario("lossy-" + name, "64 B, one at a time, 1 ms there and back, %s" % title, P99, {"size": 64},
                    placements=(UNPINNED,), without=(CAPNP,), schemes=("udp", "tcp"),
                    path={"delay": "500us", "loss": loss}, seconds=5,
                    note="Real packets, each of which may be lost. For udp they pass a relay, for tcp a TUN device, "
                    "by the same model of a path.")


SCENARIOS = (
    _unary("0B", 0, ()),
    _unary("64B", 64, ("tcp", "unix", "shm", "inproc")),
    _unary("1.5KB", 1500, ()),
    _unary("64KiB", 65536, ()),
    _unary("1MiB", 1 << 20, ("tcp",)),
    Scenario("crowded-64B", "one call at a time, 64B, while another process computes", P50, {"size": 64},
             placements=(UNPINNED,), crowded=True,
             note="On two cores three want to run, and those that poll take time from the one that computes."),
    _in_flight(1, ()),
    _in_flight(8, ()),
    _in_flight(64, ("tcp", "unix", "shm", "inproc")),
    _in_flight(512, ("tcp", "unix", "shm")),
    Scenario("in-flight-64-coroutine", "64 B, 64 in flight on one connection, coroutines", CALLS,
             {"size": 64, "in_flight": 64, "form": "coroutine"},
             without=(RAW_SPINNING, RAW_BLOCKING, GRPC_SYNC, GRPC_CALLBACK, CAPNP)),
    Scenario("threads-1", "64 B, one thread on a channel", CALLS, {"size": 64, "threads": 1},
             placements=(TWO_CORES, UNPINNED), without=(CAPNP,), quick=("tcp",)),
    Scenario("threads-8", "64 B, 8 threads share a channel", CALLS, {"size": 64, "threads": 8},
             placements=(TWO_CORES, UNPINNED), without=(CAPNP,), quick=("tcp",),
             note="The floor has a connection for each thread."),
    Scenario("stream-up-1MiB", "a stream of 1 MiB messages, one way", BYTES,
             {"pattern": "upload", "size": 1 << 20}, placements=PLACEMENTS, quick=("tcp", "unix", "shm"),
             note="The floor moves bytes, without protobuf."),
    Scenario("stream-both-64B", "a stream of 64 B messages, both ways", MESSAGES,
             {"pattern": "chat", "size": 64}, without=(CAPNP,), quick=("tcp",)),
    Scenario("beside-bulk", "64 B, one at a time, beside two streams of 1 MiB messages", P99,
             {"pattern": "mixed", "size": 64, "bulk": 2}, without=(CAPNP, RAW_SPINNING), quick=("tcp",),
             note="On one connection; the floor has a connection for each stream."),
    _open(30, ()),
    _open(50, ("tcp",)),
    _open(70, ()),
    _open(90, ("tcp",)),
    Scenario("low-rate", "64 B, 1,000 calls a second at random times", PROCESSOR,
             {"size": 64, "pattern": "open", "rate": 1000}, without=(CAPNP,), quick=("tcp",),
             note="What polling costs where it brings nothing. Some 20 us are the load's own: it sleeps and wakes for each call."),
    Scenario("connect", "a connection and its first call, 64 B", P50, {"pattern": "connect", "size": 64},
             quick=("tcp", "unix")),
    Scenario("idle", "1,000 connections that do nothing", MEMORY,
             {"pattern": "idle", "connections": 1000}, placements=(UNPINNED,),
             without=(RAW_SPINNING, RAW_BLOCKING, ANYWIRE_SLEEPING, GRPC_CALLBACK), quick=("tcp",),
             note="The heap in use by mallinfo2, of each side; each connection has made one call."),
    Scenario("slow-handlers", "64 B, 8 in flight, one handler in 100 takes 5 ms: the others", P99,
             {"size": 64, "in_flight": 8, "service": "work", "slow_every": 100, "delay_us": 5000},
             without=(RAW_SPINNING, RAW_BLOCKING), quick=("tcp",),
             note="A handler that waits: a worker's thread for anywire and gRPC sync, timers for gRPC callback and Cap'n Proto."),
    _lossy("1%-1ms", "1 % of the packets lost each way", 1),
    _lossy("5%", "5 % of the packets lost each way", 5),
)


# ---- what comes of the three


@dataclasses.dataclass(frozen=True)
class Group:
    """The systems that take turns, because they are compared."""
    scenario: Scenario
    transport: transports.Transport
    placement: str
    systems: tuple


def row_name(scenario, transport, placement, system):
    """What --only is matched with: "unary-64B/tcp/a core each/anywire, adaptive"."""
    return "/".join((scenario.name, transport.scheme, placement, system.name))


def placements_for(scenario, transport, cores):
    """Where the scenario runs: a process that is both sides has no core each."""
    wanted = scenario.placements
    if transport.in_process:
        wanted = tuple(dict.fromkeys(UNPINNED if p == TWO_CORES else p for p in wanted))
    if cores < 2:
        wanted = (ONE_CORE,)
    return wanted


def can(system, scenario, transport, placement):
    return (system not in scenario.without
            and placement in system.placements
            and (system.schemes is None or transport.scheme in system.schemes)
            and scenario.name in system.only.get(transport.scheme, (scenario.name,))
            and (system.in_process or not transport.in_process))


def plan(registered, cores, quick=False, only=None, scenarios=SCENARIOS, systems=SYSTEMS):
    """The groups to run, in order. `only` is a compiled expression that a row's name has to contain."""
    groups = []
    for scenario in scenarios:
        for transport in registered:
            if scenario.schemes is not None and transport.scheme not in scenario.schemes:
                continue
            if quick and not only and transport.scheme not in scenario.quick:
                continue
            placements = placements_for(scenario, transport, cores)
            if quick and not only:
                placements = placements[:1]
            for placement in placements:
                chosen = tuple(
                    system for system in systems
                    if can(system, scenario, transport, placement)
                    and (not only or only.search(row_name(scenario, transport, placement, system))))
                if chosen:
                    groups.append(Group(scenario, transport, placement, chosen))
    return groups
