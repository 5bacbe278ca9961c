"""Names of repositories: checked before one becomes part of an address or of a path in the cache."""

import re

# what every hub accepts: letters, digits, `_`, `.` and `-`, beginning and ending with none of the last two
_PART = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?", re.ASCII)
RULE = "letters, digits, '_', '-' and '.', as in 'owner/name' (or 'name' alone), each part 96 characters at most"


def is_repository_name(name: object) -> bool:
    """Whether a hub could have a repository called `name`: 'owner/name', or 'name' alone."""
    if not isinstance(name, str) or name.count("/") > 1 or name.endswith(".git") or "--" in name or ".." in name:
        return False
    return all(_PART.fullmatch(part) for part in name.split("/"))


def is_inner_path(path: str) -> bool:
    """Whether `path` stays inside the folder it is taken from: relative, without `..`, `\\` or empty parts."""
    return bool(path) and "\\" not in path and all(part not in ("", ".", "..") for part in path.split("/"))
