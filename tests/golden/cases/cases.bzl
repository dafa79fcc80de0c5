"""The schemas whose generated code is kept and compared, by the names of their files."""

PLAIN = [
    "comments",
    "deprecated",
    "imports",
    "lite",
    "namespaces",
    "no_package",
    "odd-file.name",
    "odd_file-name",
    "old_syntax",
    "optional_fields",
    "public_import",
]

# With gMock classes.
MOCKED = [
    "collisions",
    "keywords",
    "long_names",
    "shapes",
]
