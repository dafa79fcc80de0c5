"""anywire_cc_library: a C++ library of the messages, stubs and services in .proto files.

    load("@anywire//codegen:rpc_library.bzl", "anywire_cc_library")

    anywire_cc_library(
        name = "greeter_cc_anywire",
        srcs = ["greeter.proto"],
    )

makes "<package>/greeter.anywire.h", and "<package>/greeter.pb.h" beside it.
"""

load("@rules_cc//cc:defs.bzl", "cc_library")
load("//tools:build_defs.bzl", "AW_COPTS", "OPTIMISATION_COPTS")
load(
    "//tools:proto.bzl",
    "ProtoSourcesInfo",
    "declare_generated",
    "proto_cc_library",
    "run_protoc",
)

def _anywire_sources_impl(ctx):
    info = ctx.attr.proto[ProtoSourcesInfo]
    headers = [declare_generated(ctx, proto, ".anywire.h") for proto in info.direct]
    sources = [declare_generated(ctx, proto, ".anywire.cc") for proto in info.direct]
    mocks = []
    if ctx.attr.mock:
        mocks = [declare_generated(ctx, proto, ".anywire.mock.h") for proto in info.direct]
    run_protoc(
        ctx,
        info,
        headers + sources + mocks,
        generator = "anywire",
        plugin = ctx.executable._plugin,
        parameter = "mock=true" if ctx.attr.mock else "",
        mnemonic = "ProtocAnywire",
    )
    return [
        DefaultInfo(files = depset(headers + sources + mocks)),
        OutputGroupInfo(
            headers = depset(headers),
            mocks = depset(mocks),
            sources = depset(sources),
        ),
    ]

_anywire_sources = rule(
    implementation = _anywire_sources_impl,
    attrs = {
        "mock": attr.bool(),
        "proto": attr.label(
            mandatory = True,
            providers = [ProtoSourcesInfo],
        ),
        "_plugin": attr.label(
            cfg = "exec",
            default = Label("//codegen:protoc-gen-anywire"),
            executable = True,
        ),
    },
)

def _anywire_library_impl(ctx):
    library = ctx.attr.cc
    return [
        ctx.attr.proto[ProtoSourcesInfo],
        library[CcInfo],
        library[DefaultInfo],
        library[OutputGroupInfo],
    ]

# Both a C++ library and the .proto files, so that it may stand in the deps of the next one.
_anywire_library = rule(
    implementation = _anywire_library_impl,
    attrs = {
        "cc": attr.label(
            mandatory = True,
            providers = [CcInfo],
        ),
        "proto": attr.label(
            mandatory = True,
            providers = [ProtoSourcesInfo],
        ),
    },
    provides = [CcInfo, ProtoSourcesInfo],
)

def anywire_cc_library(
        name,
        srcs = None,
        proto = None,
        deps = [],
        mock = False,
        testonly = False,
        tags = [],
        visibility = None):
    """A C++ library of the messages, stubs and services in .proto files.

    Args:
      name: the target: a C++ library, and what other targets of this kind put in their deps.
      srcs: the .proto files, of this package; either these
      proto: or a proto_cc_library of this package that has the messages already.
      deps: with srcs: proto_cc_library and anywire_cc_library targets with the files that srcs import.
      mock: also makes <name>_mock (testonly), a library of gMock classes: "<file>.anywire.mock.h".
      testonly: as usual.
      tags: as usual.
      visibility: as usual; of <name>_mock too.
    """
    if (srcs == None) == (proto == None):
        fail("anywire_cc_library %s: give either srcs or proto" % name)
    if proto != None and deps:
        fail("anywire_cc_library %s: deps belong to srcs; the target in proto has its own" % name)
    private = {"tags": tags, "testonly": testonly, "visibility": ["//visibility:private"]}
    if proto == None:
        proto = name + "_messages"
        proto_cc_library(
            name = proto,
            srcs = srcs,
            deps = deps,
            **private
        )
    _anywire_sources(
        name = name + "_anywire",
        mock = mock,
        proto = proto,
        **private
    )
    for group in ["headers", "sources", "mocks"]:
        native.filegroup(
            name = name + "_anywire_" + group,
            srcs = [name + "_anywire"],
            output_group = group,
            **private
        )
    cc_library(
        name = name + "_cc",
        srcs = [name + "_anywire_sources"],
        hdrs = [name + "_anywire_headers"],
        # Generated code keeps the rules that our own does.
        copts = AW_COPTS + OPTIMISATION_COPTS,
        deps = [
            proto,
            Label("//runtime:generated_support"),
        ] + deps,
        **private
    )
    _anywire_library(
        name = name,
        cc = name + "_cc",
        proto = proto,
        tags = tags,
        testonly = testonly,
        visibility = visibility,
    )
    if mock:
        cc_library(
            name = name + "_mock",
            testonly = True,
            hdrs = [name + "_anywire_mocks"],
            tags = tags,
            visibility = visibility,
            deps = [
                name,
                Label("//tools/deps:gtest"),
            ],
        )
