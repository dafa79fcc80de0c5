"""C++ code for .proto files, by the system's protoc.

proto_cc_library(name = "config_cc_proto", srcs = ["config.proto"]) makes "idl/config.pb.h" for the package idl. A rule that runs
another protoc plugin takes targets with ProtoSourcesInfo and calls run_protoc().
"""

load("@rules_cc//cc:defs.bzl", "cc_library")
load("//tools:build_defs.bzl", "OPTIMISATION_COPTS")

PROTOC = "/usr/bin/protoc"

ProtoSourcesInfo = provider(
    doc = "The .proto files of a target.",
    fields = {
        "direct": "list of File: the files of the target itself",
        "transitive": "depset of File: these and all that they import, system files excepted",
    },
)

def _root(file):
    """The directory that import paths of this file start at."""
    parts = [part for part in [file.root.path, file.owner.workspace_root] if part]
    return "/".join(parts) or "."

def _import_path(file):
    """The path by which other .proto files import this file: from the top of its workspace."""
    root = _root(file)
    return file.path if root == "." else file.path[len(root) + 1:]

def merge_proto_sources(srcs, deps):
    """The ProtoSourcesInfo of a target with these files and dependencies."""
    return ProtoSourcesInfo(
        direct = srcs,
        transitive = depset(srcs, transitive = [dep[ProtoSourcesInfo].transitive for dep in deps]),
    )

def declare_generated(ctx, proto, extension):
    """Declares the output file beside a .proto file, with another extension: (".pb.h").

    Args:
      ctx: the rule's context; the file must be in the rule's package.
      proto: File.
      extension: what takes the place of ".proto".

    Returns:
      File.
    """
    path = _import_path(proto)
    package = ctx.label.package
    if package:
        if not path.startswith(package + "/"):
            fail("%s is not in package %s: generate its code in its own package" % (path, package))
        path = path[len(package) + 1:]
    return ctx.actions.declare_file(path[:-len(".proto")] + extension)

def run_protoc(ctx, info, outputs, generator, plugin = None, parameter = "", mnemonic = "Protoc"):
    """Runs protoc over the direct files of a target.

    Args:
      ctx: the rule's context.
      info: ProtoSourcesInfo.
      outputs: list of File, declared by declare_generated().
      generator: protoc's name for what it makes: "cpp" for --cpp_out, "anywire" for --anywire_out.
      plugin: File, the executable protoc-gen-<generator>; None for what is built into protoc.
      parameter: what the generator is told, as in --cpp_out=<parameter>:<directory>.
      mnemonic: the action's name in Bazel's output.
    """
    out = "/".join([part for part in [ctx.bin_dir.path, ctx.label.workspace_root] if part])
    args = ctx.actions.args()
    args.add_all(info.transitive, map_each = _root, format_each = "-I%s", uniquify = True)
    args.add("-I/usr/include")
    if plugin:
        args.add(plugin, format = "--plugin=protoc-gen-%s=%%s" % generator)
    args.add("--%s_out=%s%s" % (generator, parameter + ":" if parameter else "", out))
    args.add_all(info.direct, map_each = _import_path)
    ctx.actions.run(
        executable = PROTOC,
        arguments = [args],
        inputs = info.transitive,
        tools = [plugin] if plugin else [],
        outputs = outputs,
        mnemonic = mnemonic,
        progress_message = "Generating %s code for %s" % (generator, ctx.label),
    )

def _proto_cc_sources_impl(ctx):
    info = merge_proto_sources(ctx.files.srcs, ctx.attr.deps)
    headers = [declare_generated(ctx, src, ".pb.h") for src in ctx.files.srcs]
    sources = [declare_generated(ctx, src, ".pb.cc") for src in ctx.files.srcs]
    run_protoc(ctx, info, headers + sources, "cpp", mnemonic = "ProtocCpp")
    return [
        info,
        DefaultInfo(files = depset(headers + sources)),
        OutputGroupInfo(headers = depset(headers), sources = depset(sources)),
    ]

_proto_cc_sources = rule(
    implementation = _proto_cc_sources_impl,
    attrs = {
        "srcs": attr.label_list(allow_files = [".proto"], mandatory = True),
        "deps": attr.label_list(providers = [ProtoSourcesInfo]),
    },
)

def _proto_cc_library_impl(ctx):
    library = ctx.attr.cc
    return [
        ctx.attr.sources[ProtoSourcesInfo],
        library[CcInfo],
        library[DefaultInfo],
        library[OutputGroupInfo],
    ]

_proto_cc_library = rule(
    implementation = _proto_cc_library_impl,
    attrs = {
        "sources": attr.label(providers = [ProtoSourcesInfo], mandatory = True),
        "cc": attr.label(providers = [CcInfo], mandatory = True),
    },
    provides = [ProtoSourcesInfo, CcInfo],
)

def proto_cc_library(name, srcs, deps = [], visibility = None, testonly = False, tags = []):
    """A C++ library of the messages in .proto files.

    The target is both a C++ library and a ProtoSourcesInfo. Headers are included from the top of the workspace ("idl/config.pb.h");
    .proto files import each other by the same paths. Google's own (google/protobuf/duration.proto ...) need no dependency.

    Args:
      name: the target.
      srcs: the .proto files, of this package.
      deps: proto_cc_library targets with the files that srcs import.
      visibility: as usual.
      testonly: as usual.
      tags: as usual.
    """
    common = {"tags": tags, "testonly": testonly, "visibility": ["//visibility:private"]}
    _proto_cc_sources(
        name = name + "_sources",
        srcs = srcs,
        deps = deps,
        **common
    )
    for group in ["headers", "sources"]:
        native.filegroup(
            name = name + "_" + group[:1],
            srcs = [name + "_sources"],
            output_group = group,
            **common
        )
    cc_library(
        name = name + "_cc",
        srcs = [name + "_s"],
        hdrs = [name + "_h"],
        copts = ["-w"] + OPTIMISATION_COPTS,
        deps = deps + [Label("//tools/deps:protobuf")],
        **common
    )
    _proto_cc_library(
        name = name,
        sources = name + "_sources",
        cc = name + "_cc",
        tags = tags,
        testonly = testonly,
        visibility = visibility,
    )
