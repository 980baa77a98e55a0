"""Every error of the project and the exit code it leads to.

    PiiBlurError
    ├── PhotoFailure            one photo cannot be done: recorded, the batch goes on
    └── RunFailure              the run cannot go on: has an exit code
        ├── UsageFailure        2   the command line or a settings file is wrong
        ├── MissingDependency   3   a program, library or model is missing or unusable
        ├── NoPhotos            5   INPUT holds no photo
        ├── CannotWrite         6   OUTPUT cannot be written
        └── AlreadyRunning      75  another run holds OUTPUT

Nothing else may cross from one folder of the package into another. Every error pickles: one message, plain attributes.
"""

from __future__ import annotations

import enum


class ExitCode(enum.IntEnum):
    """What the process returns; docs/exit-codes.md explains each."""

    OK = 0
    INTERNAL_ERROR = 1
    USAGE = 2
    MISSING_DEPENDENCY = 3
    SOME_PHOTOS_FAILED = 4
    NO_PHOTOS = 5
    CANNOT_WRITE = 6
    OVERDUE = 7
    ALREADY_RUNNING = 75
    HANGUP = 129
    INTERRUPTED = 130
    CUT_OFF = 141
    TERMINATED = 143


class PiiBlurError(Exception):
    """Base of all errors that a user may see. The message says what happened, to which file, and what to do."""


class PhotoFailure(PiiBlurError):
    """One photo cannot be done.

    Attributes:
        message: what happened, to which file and what to do.
        code: stable short name for machines, e.g. ``truncated``; listed in docs/errors.md.
        stage: the stage of `blur_photo` in which it happened; filled in there when empty.
    """

    def __init__(self, message: str, code: str = "unreadable", stage: str = "") -> None:
        super().__init__(message, code, stage)
        self.message = message
        self.code = code
        self.stage = stage

    def __str__(self) -> str:
        return self.message


class RunFailure(PiiBlurError):
    """The whole run stops; `exit_code` is what the process returns."""

    exit_code = ExitCode.INTERNAL_ERROR


class UsageFailure(RunFailure):
    """The command line, or a file named on it, is wrong."""

    exit_code = ExitCode.USAGE


class MissingDependency(RunFailure):
    """A program, library or model is missing, too old or damaged."""

    exit_code = ExitCode.MISSING_DEPENDENCY


class NoPhotos(RunFailure):
    """INPUT holds no photo."""

    exit_code = ExitCode.NO_PHOTOS


class CannotWrite(RunFailure):
    """OUTPUT cannot be written at all."""

    exit_code = ExitCode.CANNOT_WRITE


class AlreadyRunning(RunFailure):
    """Another run holds the lock of OUTPUT."""

    exit_code = ExitCode.ALREADY_RUNNING
