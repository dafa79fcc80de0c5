"""Turns `bazel aquery --output=jsonproto` on stdin into a compile_commands.json on stdout, for clang tools.

compile_commands.py EXECUTION_ROOT WORKSPACE: commands run in EXECUTION_ROOT, where generated headers are; sources are named in WORKSPACE.
"""

import json
import os
import sys

# What gcc knows and clang does not.
GCC_ONLY = {"-fno-canonical-system-headers", "-Wno-free-nonheap-object", "-Wunused-but-set-parameter"}


def command_of(arguments, execution_root, workspace):
    """The entry for one compile command, or None if it compiles nothing of ours."""
    try:
        source = arguments[arguments.index("-c") + 1]
    except (ValueError, IndexError):
        return None
    path = os.path.join(workspace, source)
    if not os.path.exists(path) or source.startswith(("bazel-out/", "external/")):
        return None
    kept = [argument for argument in arguments[1:] if argument not in GCC_ONLY]
    kept[kept.index("-c") + 1] = path
    # A quoted include is looked up beside the sources and in Bazel's output.
    return {"directory": execution_root, "file": path, "arguments": ["clang++", "-iquote", workspace] + kept}


def main():
    execution_root, workspace = sys.argv[1:3]
    commands = {}
    for action in json.load(sys.stdin).get("actions", []):
        command = command_of(action.get("arguments", []), execution_root, workspace)
        if command is not None:
            commands.setdefault(command["file"], command)
    json.dump(list(commands.values()), sys.stdout, indent=1)


if __name__ == "__main__":
    main()
