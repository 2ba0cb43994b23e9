"""What can go wrong, and the exit code each kind of failure ends a command with.

A message is one sentence that names the value, the rule it breaks and the remedy.
"""


class ToolkitError(Exception):
    """Base of every failure this toolkit raises on purpose; an unexpected one exits 1."""

    exit_code = 1


class UsageError(ToolkitError):
    """The command line asks for something that makes no sense."""

    exit_code = 2


class InputError(ToolkitError):
    """Media, a track or an actor folder cannot be read or does not suit the job."""

    exit_code = 3


class QualityError(ToolkitError):
    """A result fell below its quality gate, or `--strict` met a passed-through frame."""

    exit_code = 4


class AssetError(ToolkitError):
    """Weights, a model file or a library of the environment are missing or do not fit."""

    exit_code = 5


class ResourceError(ToolkitError):
    """Memory or disk ran out, or the output cannot be written."""

    exit_code = 6


class ConsentError(ToolkitError):
    """The consent record is unreadable or has expired."""

    exit_code = 7


class DivergedError(ToolkitError):
    """An optimisation left the finite numbers: names the step, the term and the frame."""
