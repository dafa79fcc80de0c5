"""mutated_sources: a folder of copies of C++ sources, with all mutants of the table in them."""

def _mutated_sources_impl(ctx):
    folder = ctx.actions.declare_directory(ctx.label.name)
    arguments = ctx.actions.args()
    arguments.add("--folder", folder.path)
    arguments.add_all(ctx.files.srcs)
    ctx.actions.run(
        executable = ctx.executable._mutate,
        arguments = [arguments],
        inputs = ctx.files.srcs,
        outputs = [folder],
        mnemonic = "Mutate",
        progress_message = "Mutating %s" % ctx.label,
    )
    return [DefaultInfo(files = depset([folder]))]

mutated_sources = rule(
    implementation = _mutated_sources_impl,
    doc = "The sources, which include each other from the folder that is made.",
    attrs = {
        "srcs": attr.label_list(allow_files = [".h", ".cc"]),
        "_mutate": attr.label(
            default = "//tests/sim/udp/mutants:mutate",
            executable = True,
            cfg = "exec",
        ),
    },
)
