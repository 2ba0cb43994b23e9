"""How a command begins and ends: quiet libraries before it, a sentence and an exit code after it.

Nothing heavy is imported here, so that `--help` answers at once.
"""

import errno
import io
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Annotated, Any, Protocol

import tyro

from core.cores import idle_cores
from core.errors import ToolkitError
from core.progress import Console, Reporter, Silent

INTERRUPTED = 130
BROKEN_INSTALLATION = 5
OUT_OF_ROOM = 6
INTERNAL = 1

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.ENOMEM)

_ENVIRONMENT = {
    # Threads that spin while they wait take the cores from whoever has work.
    "OMP_WAIT_POLICY": "PASSIVE",
    "KMP_BLOCKTIME": "0",
    "GLOG_minloglevel": "2",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}


@dataclass(frozen=True, kw_only=True)
class Verb:
    """What every verb understands."""

    quiet: Annotated[bool, tyro.conf.arg(aliases=["-q"])] = False
    """Report no progress."""
    verbose: Annotated[bool, tyro.conf.arg(aliases=["-v"])] = False
    """Show the traceback of an error."""

    @property
    def reporter(self) -> Reporter:
        """Progress goes to stderr; stdout belongs to results."""
        return Silent() if self.quiet else Console()


class Runnable(Protocol):
    """A parsed command: `run` does it and returns the exit code."""

    verbose: bool

    def run(self) -> int: ...


def run_command(verbs: Any, name: str, purpose: str, argv: Sequence[str] | None = None) -> int:
    """Parse `argv` into one of `verbs` and run it; returns the exit code of the contract."""
    for variable, value in _ENVIRONMENT.items():
        os.environ.setdefault(variable, value)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A name that the terminal's code lacks must not spoil a job that is done.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = _parsed_and_run(verbs, name, purpose, argv)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # The reader has had enough (`| head`): not our failure, and nothing more may be written.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parsed_and_run(verbs: Any, name: str, purpose: str, argv: Sequence[str] | None) -> int:
    try:
        verb: Runnable = tyro.cli(
            verbs,
            prog=name,
            description=purpose,
            args=argv,
            config=(tyro.conf.FlagCreatePairsOff, tyro.conf.OmitArgPrefixes),
        )
    except SystemExit as ending:
        return ending.code if isinstance(ending.code, int) else 2
    os.environ.setdefault("OMP_NUM_THREADS", str(idle_cores()))
    try:
        with nullcontext() if verb.verbose else native_log_hidden():
            return verb.run()
    except KeyboardInterrupt:
        print(f"{name}: interrupted; run the same command again to go on.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        raise
    except Exception as error:
        if verb.verbose:
            traceback.print_exc()
        code, sentence = verdict(error)
        print(f"{name}: {sentence}", file=sys.stderr)
        return code


@contextmanager
def native_log_hidden() -> Iterator[None]:
    """Hide what native libraries write to the error descriptor; Python's stderr still shows.

    Where stderr is somebody else's (a test's, a notebook's) nothing is touched.
    """
    stream = sys.stderr
    try:
        ours = stream.fileno() == 2
    except (OSError, AttributeError, ValueError):
        ours = False
    if not ours:
        yield
        return
    stream.flush()
    shown = os.dup(2)
    with (
        open(os.devnull, "wb") as nowhere,
        os.fdopen(
            shown, "w", encoding=stream.encoding, errors=stream.errors, closefd=False
        ) as duplicate,
    ):
        os.dup2(nowhere.fileno(), 2)
        sys.stderr = duplicate
        try:
            yield
        finally:
            duplicate.flush()
            sys.stderr = stream
            os.dup2(shown, 2)
    os.close(shown)


def verdict(error: Exception) -> tuple[int, str]:
    """The exit code of a failure and the one sentence that tells of it."""
    if isinstance(error, ToolkitError):
        return error.exit_code, str(error)
    if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
        return OUT_OF_ROOM, "memory ran out; close other programs or give a shorter --range."
    if isinstance(error, OSError) and error.errno in _FULL:
        return OUT_OF_ROOM, f"{error.strerror} ({error.filename or 'disk'}); free some space."
    if isinstance(error, ImportError):
        return BROKEN_INSTALLATION, f"a library cannot be loaded ({error}); see `redub doctor`."
    kind = type(error).__name__
    first = (str(error).splitlines() or [""])[0]
    return INTERNAL, f"internal error: {kind}: {first} (run with -v for the traceback)"
