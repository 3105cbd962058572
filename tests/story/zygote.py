"""A process with everything imported, which forks a victim for each line of its standard input: whose
it is, its root, when it is killed, and the other arguments. It answers with the victim's exit code.
"""

from __future__ import annotations

import json
import os
import signal
import sys

from tests.story import film_victim, paid_victim, victim

VICTIMS = {module.__name__: module.serve for module in (victim, paid_victim, film_victim)}


def main() -> None:
    """The zygote's whole life: it ends with its standard input."""
    for line in sys.stdin:
        whose, root, kill_at, arguments = json.loads(line)
        pid = os.fork()
        if pid == 0:
            signal.alarm(50)  # nothing here takes so long
            VICTIMS[whose](root, kill_at, arguments)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
