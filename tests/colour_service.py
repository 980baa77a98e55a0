"""`pii-blur serve` with the colour detector of `tests.scenes` in place of the network:

python -m tests.colour_service [OPTIONS]
"""

from __future__ import annotations

import sys

from pii_blur import serve_command
from pii_blur.http.pool import WorkTask
from tests.service import ScriptedTask, open_colour_tools

if __name__ == "__main__":
    WorkTask.of = classmethod(lambda cls, settings: ScriptedTask(cls(open_colour_tools, 1)))  # type: ignore[assignment]
    sys.exit(serve_command.run_serve(sys.argv[1:]))
