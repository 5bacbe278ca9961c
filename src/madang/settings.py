"""Environment variables, read here and nowhere else.

`HF_*` names are those people already have set; they are read by the huggingface_hub package itself
(`HF_ENDPOINT`, `HF_HOME`, `HF_TOKEN`, `HF_HUB_CACHE`) and listed here only where Madang needs the value too.
"""

import os
from dataclasses import dataclass
from pathlib import Path

TRUE = {"1", "true", "yes", "on"}


def offline() -> bool:
    """No request may leave this machine: `HF_HUB_OFFLINE=1` (or the older `TRANSFORMERS_OFFLINE=1`)."""
    return any(os.environ.get(name, "").lower() in TRUE for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"))


def endpoint() -> str | None:
    """The hub's address: `HF_ENDPOINT`; None means the public one. Read at each use, so a program may change it."""
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or None


def progress_bars() -> bool:
    """Long work shows its progress, unless `MADANG_PROGRESS=0` (or `HF_HUB_DISABLE_PROGRESS_BARS=1`) says otherwise."""
    names = ("HF_HUB_DISABLE_PROGRESS_BARS", "HF_DATASETS_DISABLE_PROGRESS_BARS")
    if any(os.environ.get(name, "").lower() in TRUE for name in names):
        return False
    return os.environ.get("MADANG_PROGRESS", "1").lower() in TRUE


def datasets_in_memory_limit() -> float:
    """Saved datasets of fewer bytes are read into memory, not mapped: `HF_DATASETS_IN_MEMORY_MAX_SIZE`, else 0."""
    try:
        return float(os.environ.get("HF_DATASETS_IN_MEMORY_MAX_SIZE") or 0)
    except ValueError:
        return 0.0


def datasets_cache_root() -> Path:
    """The folder of prepared datasets: `HF_DATASETS_CACHE`, else `datasets` in `HF_HOME`. Read at each use."""
    named = os.environ.get("HF_DATASETS_CACHE")
    if named:
        return _path(named)
    home = os.environ.get("HF_HOME")
    if home:
        return _path(home) / "datasets"
    return _path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface" / "datasets"


def datasets_cache_limit() -> str | None:
    """How large prepared datasets may become together: `MADANG_DATASETS_CACHE_MAX_BYTES`, as `20GB` or in bytes."""
    return os.environ.get("MADANG_DATASETS_CACHE_MAX_BYTES", "").strip() or None


def datasets_caching() -> bool:
    """Results are kept for later runs, unless `HF_DATASETS_DISABLE_CACHING=1` says otherwise."""
    return os.environ.get("HF_DATASETS_DISABLE_CACHING", "").lower() not in TRUE


def temporary_directory() -> Path | None:
    """Where temporary files go when `TMPDIR` says so; None leaves it to the system."""
    named = os.environ.get("TMPDIR")
    return _path(named) if named else None


def datasets_offline() -> bool:
    """No request may be made for data: `HF_DATASETS_OFFLINE=1`, or working offline altogether."""
    return offline() or os.environ.get("HF_DATASETS_OFFLINE", "").lower() in TRUE


@dataclass(frozen=True)
class S3Access:
    """How a bucket is reached. Without an `endpoint` it is Amazon's."""

    key: str
    secret: str
    region: str = "us-east-1"
    endpoint: str = ""
    session_token: str = ""
    # where clients reach it, when that is not the endpoint; "off": they never do
    public: str = ""


def s3_access() -> S3Access:
    """The variables that other S3 tools read: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`,
    `AWS_ENDPOINT_URL`, `AWS_SESSION_TOKEN`; and `MADANG_S3_PUBLIC_URL`, which is where clients download from."""
    read = os.environ.get
    return S3Access(
        key=read("AWS_ACCESS_KEY_ID", ""),
        secret=read("AWS_SECRET_ACCESS_KEY", ""),
        region=read("AWS_REGION") or read("AWS_DEFAULT_REGION") or "us-east-1",
        endpoint=(read("AWS_ENDPOINT_URL_S3") or read("AWS_ENDPOINT_URL") or "").rstrip("/"),
        session_token=read("AWS_SESSION_TOKEN", ""),
        public=read("MADANG_S3_PUBLIC_URL", "").rstrip("/"),
    )


@dataclass(frozen=True)
class HubEnvironment:
    """What the environment says about a hub that runs here; "" where it says nothing."""

    data: str = ""
    host: str = ""
    port: str = ""
    address: str = ""
    database_url: str = ""
    storage_url: str = ""
    sign_up: str = ""
    rate_limit: str = ""


def hub() -> HubEnvironment:
    """The settings of `madang serve` and `madang hub`: each option has a variable for where options are awkward."""
    read = os.environ.get
    return HubEnvironment(
        data=read("MADANG_DATA", ""),
        host=read("MADANG_HOST", ""),
        port=read("MADANG_PORT", ""),
        address=read("MADANG_ADDRESS", ""),
        database_url=read("MADANG_DATABASE_URL", ""),
        storage_url=read("MADANG_STORAGE_URL", ""),
        sign_up=read("MADANG_SIGN_UP", ""),
        rate_limit=read("MADANG_RATE_LIMIT", ""),
    )


def _path(text: str) -> Path:
    return Path(os.path.expandvars(text)).expanduser()
