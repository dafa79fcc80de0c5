"""optimised_binary: a program built with -c opt whatever the rest of the build is built with.

For what is measured: budgets hold for the code that ships, and one `bazel test` runs everything. Sanitizers are left out too.
"""

def _to_optimised_impl(_settings, _attr):
    return {
        "//command_line_option:compilation_mode": "opt",
        "//command_line_option:copt": [],
        "//command_line_option:linkopt": [],
    }

_to_optimised = transition(
    implementation = _to_optimised_impl,
    inputs = [],
    outputs = [
        "//command_line_option:compilation_mode",
        "//command_line_option:copt",
        "//command_line_option:linkopt",
    ],
)

def _optimised_binary_impl(ctx):
    program = ctx.attr.binary[0][DefaultInfo].files_to_run.executable
    link = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.symlink(output = link, target_file = program, is_executable = True)
    return [DefaultInfo(
        executable = link,
        runfiles = ctx.runfiles([program, link]),
    )]

optimised_binary = rule(
    implementation = _optimised_binary_impl,
    doc = "A link to `binary`, built with optimisation.",
    executable = True,
    attrs = {
        "binary": attr.label(
            cfg = _to_optimised,
            executable = True,
            mandatory = True,
        ),
        "_allowlist_function_transition": attr.label(
            default = "@bazel_tools//tools/allowlists/function_transition_allowlist",
        ),
    },
)
