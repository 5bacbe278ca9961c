"""A hub and a client in a network of their own that leads nowhere: `python … FOLDER`.

Run by test_isolation.py inside the network namespace. Prints one JSON object: how long until the hub answered, what the
round trip saw, and with whom the hub's process wanted to speak.
"""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

ADDRESS = "http://127.0.0.1:8000"
# Python tells of every look-up and every connection before it is made
WATCHING = """
import os, sys

def told(event, arguments):
    if event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.connect", "socket.sendto"):
        to = arguments[0] if event.startswith("socket.get") else arguments[1]
        with open(os.environ["WATCHED"], "a", encoding="utf-8") as log:
            print(event, to, file=log)

sys.addaudithook(told)
"""


def main(folder: Path) -> None:
    (folder / "watching").mkdir()
    (folder / "watching" / "sitecustomize.py").write_text(WATCHING, encoding="utf-8")
    watched = folder / "watched.log"
    source = os.environ["PYTHONPATH"]
    given = {
        **os.environ,
        "PYTHONPATH": f"{folder / 'watching'}{os.pathsep}{source}",
        "WATCHED": str(watched),
        "MADANG_DATA": str(folder / "hub"),
    }
    began = time.monotonic()
    hub = subprocess.Popen([sys.executable, "-m", "madang", "serve"], env=given, stdout=subprocess.DEVNULL)
    try:
        wait(hub)
        seconds = time.monotonic() - began
        administrate(given, "user", "add", "alice")
        token = administrate(given, "token", "create", "alice", "--role", "write")
        seen = {"seconds": seconds, "round trip": round_trip(folder, token)}
    finally:
        hub.terminate()
        hub.wait()
    seen["watched"] = watched.read_text(encoding="utf-8").splitlines()
    print(json.dumps(seen))


def wait(hub: "subprocess.Popen[bytes]") -> None:
    for _ in range(6000):
        try:
            urllib.request.urlopen(ADDRESS + "/api/agent-harnesses").close()
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            assert hub.poll() is None, "the hub ended"
            time.sleep(0.01)
    raise AssertionError("the hub did not answer within a minute")


def administrate(given: dict[str, str], *words: str) -> str:
    command = [sys.executable, "-m", "madang", "hub", *words]
    return subprocess.run(command, env=given, capture_output=True, text=True, check=True).stdout.strip()


def round_trip(folder: Path, token: str) -> object:
    script = Path(__file__).with_name("round_trip.py")
    given = {**os.environ, "HF_ENDPOINT": ADDRESS, "HF_TOKEN": token, "HF_HOME": str(folder / "home")}
    command = [sys.executable, str(script), str(folder), "model"]
    return json.loads(subprocess.run(command, env=given, stdout=subprocess.PIPE, check=True).stdout.splitlines()[-1])


main(Path(sys.argv[1]))
