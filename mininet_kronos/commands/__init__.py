"""The verbs of the kronos command: one module each.

A verb's module has HELP, a line for lists of verbs, and run(arguments), which returns the exit status; its
docstring is its --help text, and add_arguments(parser), if it has one, declares its arguments.
"""

VERBS = (
    "mn", "run", "verify", "report", "compare", "doctor", "clean", "mn-path", "completion", "version",
)  # fmt: skip
