"""Environment variables, read here and nowhere else.

`HF_*` names are those people already have set; they are read by the huggingface_hub package itself
(`HF_ENDPOINT`, `HF_HOME`, `HF_TOKEN`, `HF_HUB_CACHE`) and listed here only where Madang needs the value too.
"""

import os

TRUE = {"1", "true", "yes", "on"}


def offline() -> bool:
    """No request may leave this machine: `HF_HUB_OFFLINE=1` (or the older `TRANSFORMERS_OFFLINE=1`)."""
    return any(os.environ.get(name, "").lower() in TRUE for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"))


def endpoint() -> str | None:
    """The hub's address: `HF_ENDPOINT`; None means the public one. Read at each use, so a program may change it."""
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or None


def progress_bars() -> bool:
    """Long work shows its progress, unless `MADANG_PROGRESS=0` (or `HF_HUB_DISABLE_PROGRESS_BARS=1`) says otherwise."""
    if os.environ.get("HF_HUB_DISABLE_PROGRESS_BARS", "").lower() in TRUE:
        return False
    return os.environ.get("MADANG_PROGRESS", "1").lower() in TRUE
