"""The names of repositories: which are possible, and how addresses spell them."""

import re

from madang.server.errors import InvalidRequest

TYPES = ("model", "dataset", "space")
PLURALS = {"model": "models", "dataset": "datasets", "space": "spaces"}
SINGULARS = {plural: type for type, plural in PLURALS.items()}
# addresses of pages, of files and of git begin with this
PREFIXES = {"model": "", "dataset": "datasets/", "space": "spaces/"}

_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?")
# words that follow a repository's name in addresses, or begin other addresses: `gpt2/resolve/…` must stay readable
RESERVED = frozenset(
    {
        *("api", "datasets", "spaces", "models", "kernels", "buckets", "collections", "papers", "static", "settings"),
        *("login", "logout", "join", "signin", "signup", "new", "search", "oauth", "xet", "lfs", "uploads", "docs"),
        *("admin", "health", "notifications", "organizations", "users", "me", "embed", "device", "tree", "blob", "raw"),
        *("resolve", "commit", "commits", "discussions", "info", "git-upload-pack", "git-receive-pack", "revision"),
        *("preupload", "branch", "tag", "refs", "paths-info", "super-squash", "likers", "like", "auth-check"),
        *("compare", "user-access-request", "ask-access", "lfs-files", "xet-write-token", "xet-read-token", "squash"),
        *("safetensors-metadata", "treesize", "duplicate", "runtime", "parquet", "leaderboard", "revert", "downloads"),
        *("robots.txt", "favicon.ico", "v1", "v2", "inference", "tasks"),
    }
)
RULE = (
    "letters, digits, '_', '.' and '-', at most 96; no '--' or '..', no '-' or '.' at either end, no '.git' or '.ipynb'"
    " at the end, and none of the words that addresses of this hub use"
)


def check_name(name: str) -> None:
    """Raises InvalidRequest for what no account and no repository can be called."""
    fits = _NAME.fullmatch(name) and "--" not in name and ".." not in name
    if not fits or name.lower().endswith((".git", ".ipynb")) or name.lower() in RESERVED:
        raise InvalidRequest(f"{name[:100]!r} cannot be a name here: {RULE}.")
