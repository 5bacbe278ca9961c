"""What earlier downloads left on this machine, in the layout all hub clients share.

models--owner--name/refs/main             text: the commit
models--owner--name/snapshots/<commit>/   the files of that commit that were downloaded
models--owner--name/listings/<commit>     ours: the names of all its files, so that what is missing is known offline
"""

import contextlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

from madang.writing import write_text

_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class CachedRepository:
    """The place of one repository in the cache."""

    folder: Path

    def commit_of(self, revision: str) -> str | None:
        """The commit that `revision` was when it was last looked up, or None when nothing of it is here."""
        commit: str | None = revision
        if not _COMMIT.fullmatch(revision):
            commit = _text(self.folder / "refs" / revision)
        return commit if commit and (self.folder / "snapshots" / commit).is_dir() else None

    def remember(self, revision: str, commit: str, files: frozenset[str] | None) -> None:
        """Note what the hub just said. A cache that cannot be written, as shared ones, is used as it is."""
        with contextlib.suppress(OSError):
            if revision != commit:
                _replace(self.folder / "refs" / revision, commit)
            if files is not None:
                _replace(self.folder / "listings" / commit, json.dumps(sorted(files)))

    def files(self, commit: str) -> frozenset[str] | None:
        """The names of all files of `commit`, cached or not; None when they were never listed."""
        try:
            return frozenset(json.loads(_text(self.folder / "listings" / commit) or ""))
        except ValueError:  # none, or a damaged one: only the hub knows
            return None


def cached_repository(name: str, repo_type: str, cache_dir: str | None) -> CachedRepository:
    """Where the files of a repository are kept, whether there are any yet or not."""
    from huggingface_hub import constants

    root = Path(cache_dir or constants.HF_HUB_CACHE)
    return CachedRepository(root / f"{repo_type}s--{name.replace('/', '--')}")


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None


def _replace(path: Path, text: str) -> None:
    if _text(path) != text:
        os.makedirs(path.parent, exist_ok=True)
        write_text(path, text)
