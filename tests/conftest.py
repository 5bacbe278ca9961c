"""What holds for every test: no network, a home of its own, one thread, the same seed."""

import logging
import os
import random
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

# Before anything imports torch or huggingface_hub, which read these once.
HOME = tempfile.TemporaryDirectory(prefix="madang-tests-", ignore_cleanup_errors=True)
for name in [name for name in os.environ if name.startswith(("HF_", "HUGGINGFACE_", "TRANSFORMERS_"))]:
    del os.environ[name]
os.environ["HF_HOME"] = HOME.name
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["MPLBACKEND"] = "Agg"
os.environ["MPLCONFIGDIR"] = str(Path(HOME.name) / "matplotlib")
os.environ["TOKENIZERS_PARALLELISM"] = "false"
# Small models are faster on one thread than on two, and the same on every machine.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["MADANG_PROGRESS"] = "0"
# `make test` says where the reference packages are; whoever starts pytest by hand gets the same ones.
PARITY = Path(__file__).parents[1] / ".parity"
os.environ.setdefault("MADANG_REFERENCE_5", str(PARITY / "transformers-5" / "bin" / "python"))
os.environ.setdefault("MADANG_REFERENCE_4", str(PARITY / "transformers-4.40.1" / "bin" / "python"))


class NetworkUsed(RuntimeError):
    """A test tried to reach another machine."""


@pytest.fixture(autouse=True)
def no_network(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections fail at once, naming the address; `@pytest.mark.loopback` allows servers on this machine."""
    allowed = {"127.0.0.1", "::1", "localhost"} if request.node.get_closest_marker("loopback") else set()
    connect, look_up = socket.socket.connect, socket.getaddrinfo

    def refuse(host: object) -> None:
        if host not in allowed:
            raise NetworkUsed(f"a test tried to reach {host!r}; tests use no network")

    def guarded_connect(self: socket.socket, address: tuple[str, int] | str) -> None:
        if self.family != getattr(socket, "AF_UNIX", None):
            refuse(address[0])
        connect(self, address)

    def guarded_look_up(host: object, *rest: object, **more: object) -> object:
        refuse(host)
        return look_up(host, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", guarded_connect)
    monkeypatch.setattr(socket.socket, "connect_ex", guarded_connect)
    monkeypatch.setattr(socket, "getaddrinfo", guarded_look_up)


@pytest.fixture(autouse=True)
def same_seed() -> None:
    """Every test starts from the same random numbers, in any order and alone."""
    random.seed(0)
    # imported by the tests that need them only: tests of text and data run without torch
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(0)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


@pytest.fixture(autouse=True)
def same_log_level() -> Iterator[None]:
    """What a test makes Madang say less or more of holds for that test only."""
    logger = logging.getLogger("madang")
    before = logger.level
    yield
    logger.setLevel(before)
