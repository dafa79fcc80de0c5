"""The C++ rules that every package uses: rules_cc's, with our warnings and our include paths."""

load("@rules_cc//cc:defs.bzl", "cc_binary", "cc_library", "cc_test")

# (Label: ours also when the BUILD file that calls us is another repository's.)
# Without optimisation, templates (Abseil, protobuf, coroutines) run slowly and take no less time to compile.
OPTIMISATION_COPTS = select({
    str(Label("//tools/bazel:fastbuild")): ["-O1"],
    "//conditions:default": [],
})

# What ships is optimised across our libraries: a call goes through many, and calls between them were a fifth of its
# instructions. GCC's own limits on inlining are for programs whose hot path is short; above them lie another 6 % of the
# instructions, for a third more code. (What has one caller is inlined however seldom it runs, and its registers are then
# saved in every call: such functions say ABSL_ATTRIBUTE_NOINLINE or COLD.) Other libraries are called without the detour
# through a stub. Not by clang, whose bitcode needs a linker of its own.
_INLINING = [
    "--param=max-inline-insns-auto=150",
    "--param=max-inline-insns-single=1000",
    "--param=inline-unit-growth=300",
    "--param=large-function-growth=1000",
    "--param=large-unit-insns=100000",
    "-fdevirtualize-at-ltrans",
]

def _when_shipped(options):
    return select({
        str(Label("//tools/bazel:optimised_by_clang")): [],
        str(Label("//tools/bazel:optimised")): options,
        "//conditions:default": [],
    })

LIBRARY_COPTS = _when_shipped(["-O3", "-fomit-frame-pointer", "-flto"] + _INLINING)
LIBRARY_LINKOPTS = _when_shipped(["-O3", "-flto=auto", "-fno-plt"] + _INLINING)

AW_COPTS = [
    "-Wall",
    "-Wextra",
    "-Werror",
]

# Debian's libraries are not instrumented: the thread sanitizer is told of their locks.
_SANITIZER_DEPS = select({
    str(Label("//tools/sanitizers:tsan")): [str(Label("//tools/sanitizers:tsan_system_locks"))],
    "//conditions:default": [],
})

def aw_cc_library(name, public = False, copts = [], linkopts = [], **kwargs):
    """A cc_library of ours.

    Args:
      name: the target.
      public: its headers are for users: everybody includes them as "anywire/<file>.h" instead of by repository path.
      copts: more compiler options.
      linkopts: more linker options, of the programs that use it.
      **kwargs: as for cc_library.
    """
    if public:
        kwargs["include_prefix"] = "anywire"
        kwargs["strip_include_prefix"] = "/" + native.package_name()
    cc_library(
        name = name,
        copts = AW_COPTS + OPTIMISATION_COPTS + LIBRARY_COPTS + copts,
        linkopts = LIBRARY_LINKOPTS + linkopts,
        **kwargs
    )

def aw_cc_binary(name, copts = [], deps = [], **kwargs):
    """A cc_binary of ours."""
    cc_binary(
        name = name,
        copts = AW_COPTS + OPTIMISATION_COPTS + copts,
        deps = deps + _SANITIZER_DEPS,
        **kwargs
    )

def aw_cc_test(name, copts = [], deps = [], size = "small", timeout = "short", main = True, **kwargs):
    """A cc_test of ours, with GoogleTest and GoogleMock.

    Args:
      name: the target.
      copts: more compiler options.
      deps: as for cc_test; GoogleTest comes by itself.
      size: how much it needs; a small test is expected to take seconds.
      timeout: when it is killed: short (60 s), moderate (300 s), long (900 s); longer under the sanitizers.
      main: False when the test has its own main function.
      **kwargs: as for cc_test.
    """
    cc_test(
        name = name,
        size = size,
        timeout = timeout,
        copts = AW_COPTS + OPTIMISATION_COPTS + copts,
        deps = deps + [str(Label("//tools/deps:gtest_main" if main else "//tools/deps:gtest"))] + _SANITIZER_DEPS,
        **kwargs
    )
