"""Makes the system's calls fail for one folder, in every Python process that finds this file on its PYTHONPATH.

FAULTS holds JSON: `folder`, `error` (a name of errno), `calls` (of `CALLS`), and `once`, a file: nothing fails until it
exists. What a network folder does that goes away, a disk that breaks, a quota that is used up.
"""

import builtins
import errno
import io
import json
import os

CALLS = ("open", "fsync", "replace", "rename", "stat", "lstat", "scandir", "mkdir", "unlink", "chmod", "access")


def _install(folder, error, calls, once):
    number = getattr(errno, error)
    folder = os.path.realpath(folder)
    lstat, readlink, realpath = os.lstat, os.readlink, os.path.abspath

    def is_on():
        try:
            lstat(once)
        except OSError:
            return False
        return True

    def is_there(path):
        if isinstance(path, int):
            try:
                path = readlink(f"/proc/self/fd/{path}")
            except OSError:
                return False
        path = realpath(os.fsdecode(path))
        return path == folder or path.startswith(folder + os.sep)

    def failing(call):
        def wrapper(path, *arguments, **options):
            others = arguments[:1] if call.__name__ in ("replace", "rename") else ()
            if any(is_there(one) for one in (path, *others)) and is_on():
                raise OSError(number, os.strerror(number), path)
            return call(path, *arguments, **options)

        return wrapper

    for name in calls:
        setattr(os, name, failing(getattr(os, name)))
    if "open" in calls:
        builtins.open = io.open = failing(io.open)


if "FAULTS" in os.environ:
    _install(**json.loads(os.environ["FAULTS"]))
