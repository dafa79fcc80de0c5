"""Compiler options for files that make kj promises of StatusOr."""

# gcc 12 takes what an empty kj::Maybe does not hold for something that its destructor reads. clang does not know the
# warning's name.
KJ_COPTS = [
    "-Wno-maybe-uninitialized",
    "-Wno-unknown-warning-option",
]
