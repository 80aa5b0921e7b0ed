"""`python -m visavis.stage`: the stage that a server starts on its own machine. It ignores the signals that end a
server, from before anything slow is imported: a terminal and a supervisor send them to all processes, and the server
ends its stages in order.
"""

from __future__ import annotations

import signal

if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)

    from visavis.stage.process import main

    main()
