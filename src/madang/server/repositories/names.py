"""The names of repositories: which are possible, and how addresses spell them."""

import re

from madang.server.repositories.errors import InvalidName

TYPES = ("model", "dataset", "space")
PLURALS = {"model": "models", "dataset": "datasets", "space": "spaces"}
SINGULARS = {plural: singular for singular, plural in PLURALS.items()}
# addresses of pages, of files and of git begin with this
PREFIXES = {"model": "", "dataset": "datasets/", "space": "spaces/"}

_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?")
# words that follow a repository's name in addresses: `gpt2/resolve/…` must stay readable
FOLLOWING = frozenset(
    {
        *("resolve", "commit", "commits", "discussions", "info", "git-upload-pack", "git-receive-pack", "revision"),
        *("tree", "blob", "raw", "preupload", "branch", "tag", "refs", "paths-info", "super-squash", "likers", "like"),
        *("auth-check", "compare", "user-access-request", "ask-access", "lfs-files", "squash", "settings", "canonical"),
        *("xet-write-token", "xet-read-token", "safetensors-metadata", "treesize", "duplicate", "runtime", "parquet"),
        *("leaderboard", "revert", "downloads"),
    }
)
# words that addresses begin with
RESERVED = FOLLOWING | {
    *("api", "datasets", "spaces", "models", "kernels", "buckets", "collections", "papers", "static"),
    *("login", "logout", "join", "signin", "signup", "new", "search", "oauth", "xet", "lfs", "uploads", "docs"),
    *("admin", "health", "notifications", "organizations", "users", "me", "embed", "device"),
    *("robots.txt", "favicon.ico", "v1", "v2", "inference", "tasks"),
}
RULE = (
    "letters, digits, '_', '.' and '-', at most 96; no '--' or '..', no '-' or '.' at either end, no '.git' or '.ipynb'"
    " at the end, and none of the words that addresses of this hub use"
)


def check_name(name: str) -> None:
    """Raises InvalidName for what no account can be called, and no repository that is named without an owner."""
    _check(name, RESERVED)


def check_repository_name(name: str) -> None:
    """Raises InvalidName for what no repository can be called, its owner's name not included."""
    _check(name, FOLLOWING)


def _check(name: str, taken: frozenset[str]) -> None:
    fits = _NAME.fullmatch(name) and "--" not in name and ".." not in name
    if not fits or name.lower().endswith((".git", ".ipynb")) or name.lower() in taken:
        raise InvalidName(f"{name[:100]!r} cannot be a name here: {RULE}.")
