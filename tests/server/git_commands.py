"""The real git in a home of its own, for tests that clone from a hub and push to it."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Git:
    """`git("clone", address)` in the folder `home`; the settings of this machine and of its user don't count."""

    home: Path

    def __call__(self, *arguments: str, at: str | Path = ".", fails: bool = False, feed: bytes | None = None) -> str:
        """What git says, on both its channels. Raises AssertionError when it fails; with `fails`, when it does not."""
        done = subprocess.run(
            ["git", *arguments],
            cwd=self.home / at,
            env=self.environment,
            input=feed,
            stdin=subprocess.DEVNULL if feed is None else None,
            capture_output=True,
            timeout=300,
        )
        said = (done.stdout + done.stderr).decode("utf-8", "replace")
        assert (done.returncode != 0) == fails, f"git {' '.join(arguments)}: {done.returncode}\n{said}"
        return said

    @property
    def environment(self) -> dict[str, str]:
        person = {"NAME": "Alice", "EMAIL": "alice@example.org"}
        signature = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in person.items()}
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "LC_ALL": "C.UTF-8",
            **signature,
        }

    def write(self, at: str | Path, files: dict[str, str | bytes], message: str = "Change") -> str:
        """Commit files in a clone; returns the commit."""
        for path, content in files.items():
            file = self.home / at / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content.encode() if isinstance(content, str) else content)
        self("add", "--all", at=at)
        self("commit", "--quiet", "--message", message, at=at)
        return self.head(at)

    def head(self, at: str | Path = ".", revision: str = "HEAD") -> str:
        return self("rev-parse", revision, at=at).strip()
