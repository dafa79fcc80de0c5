"""Rule sets that Debian packages, made usable by Debian's Bazel."""

_RULES_CC = "/usr/share/bazel/rules/cc"

# Debian's rules_cc is newer than Debian's Bazel: these files load a symbol that Bazel 4.2.3 does not have. What it
# stands for there is a list of one toolchain type.
_PATCHED = [
    "cc/private/rules_impl/cc_flags_supplier.bzl",
    "cc/private/rules_impl/compiler_flag.bzl",
]

def _debian_rules_cc_impl(ctx):
    source = ctx.path(_RULES_CC)
    if not source.exists:
        fail("%s is missing: run tools/setup (Debian package bazel-rules-cc)" % _RULES_CC)
    result = ctx.execute(["cp", "-RL", _RULES_CC + "/.", "."])
    if result.return_code != 0:
        fail("copying %s: %s" % (_RULES_CC, result.stderr))
    for name in _PATCHED:
        text = ctx.read(name)
        text = text.replace(", \"use_cpp_toolchain\"", "")
        text = text.replace("use_cpp_toolchain()", "[\"@bazel_tools//tools/cpp:toolchain_type\"]")
        ctx.file(name, text)

debian_rules_cc = repository_rule(
    implementation = _debian_rules_cc_impl,
    doc = "A copy of Debian's rules_cc that loads in Debian's Bazel.",
    local = True,
)

def _no_coverage_tools_impl(ctx):
    ctx.file("BUILD.bazel", """
filegroup(
    name = "coverage_report_generator",
    srcs = [],
    visibility = ["//visibility:public"],
)
""")

no_coverage_tools = repository_rule(
    implementation = _no_coverage_tools_impl,
    doc = "Stands in for the coverage tools that Bazel would download before it builds any test.",
)

def system_repositories():
    """What a WORKSPACE that builds anywire, or with it, needs: Debian's rule sets and its Python. Nothing is downloaded."""
    debian_rules_cc(name = "rules_cc")
    no_coverage_tools(name = "remote_coverage_tools")
    for name, path in [
        ("rules_java", "/usr/share/bazel/rules/java"),
        ("rules_proto", "/usr/share/bazel/rules/proto"),
        ("bazel_skylib", "/usr/share/bazel/tools/skylib"),
    ]:
        native.local_repository(name = name, path = path)
    native.register_toolchains(str(Label("//tools/bazel:python_toolchain")))
