"""`python -m visavis_voice`: the speech endpoint on this machine."""

from __future__ import annotations

import argparse
import sys
import threading

from visavis_voice.model import Voice, WeightsMissing
from visavis_voice.server import SpeechServer


def main() -> None:
    options = argparse.ArgumentParser(prog="visavis-voice", description=__doc__)
    options.add_argument("--host", default="127.0.0.1")
    options.add_argument("--port", type=int, default=8880, help="0 takes a free one")
    options.add_argument("--voice", help="the voice of requests that name none of this package's")
    options.add_argument("--until-input-ends", action="store_true", help="end when the standard input is closed")
    options.add_argument("--threads", type=int, default=1, help="of each text")
    options.add_argument("--at-once", type=int, default=1, help="the most texts that are spoken at once")
    given = options.parse_args()
    try:
        voice = Voice(threads=given.threads)
    except WeightsMissing as error:
        sys.exit(f"visavis-voice: {error}")
    default = given.voice or voice.names[0]
    if default not in voice.names:
        sys.exit(f"visavis-voice: there is no voice {default}; there are {', '.join(voice.names)}")
    with SpeechServer((given.host, given.port), voice, default=default, at_once=given.at_once) as server:
        voice.speak("Ready.", default)  # reads the dictionaries
        if given.until_input_ends:
            threading.Thread(target=_end_with_input, args=(server,), daemon=True).start()
        print(f"http://{given.host}:{server.server_port}/v1", flush=True)
        server.serve_forever()


def _end_with_input(server: SpeechServer) -> None:
    while sys.stdin.read(1):
        pass
    server.shutdown()


if __name__ == "__main__":
    main()
