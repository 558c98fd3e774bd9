"""Every error that mininet_kronos raises on purpose.

The text of each is one line that says what is wrong and how to fix it; the command-line
entry points print it and exit with a status other than zero.
"""


class KronosError(Exception):
    """Something a user can fix: the text is one line and names the fix."""


class MissingProgramError(KronosError):
    """A program or Python package that this machine needs is not installed."""


class ParameterError(KronosError):
    """A parameter's value makes no sense (unknown host, negative delay, timestep of 0)."""


class SwitchError(KronosError):
    """Open vSwitch did not start, or ended when it should run."""


class ControllerError(KronosError):
    """The SDN controller did not start, or no switch can connect to it."""


class UnknownNodeError(KronosError, KeyError):
    """No node has this name."""

    __str__ = Exception.__str__  # KeyError's would put quotes around the text


class EngineError(KronosError):
    """The engine refuses, has ended, or cannot start here."""


class BreakpointReached(KronosError):  # noqa: N818 (the user has asked for it)
    """Virtual time has stopped at a breakpoint; everything is frozen."""
