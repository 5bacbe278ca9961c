"""How much Madang says, under the names people know: `madang.datasets.logging.set_verbosity_error()`."""

from logging import CRITICAL, DEBUG, ERROR, FATAL, INFO, NOTSET, WARN, WARNING, Logger, getLogger

__all__ = [
    "CRITICAL", "DEBUG", "ERROR", "FATAL", "INFO", "NOTSET", "WARN", "WARNING", "disable_propagation",
    "enable_propagation", "get_logger", "get_verbosity", "set_verbosity", "set_verbosity_debug", "set_verbosity_error",
    "set_verbosity_info", "set_verbosity_warning",
]  # fmt: skip


def get_logger(name: str | None = None) -> Logger:
    """The logger of that name, or that of the whole library."""
    return getLogger(name or "madang")


def get_verbosity() -> int:
    """The level from which on the library speaks."""
    return get_logger().getEffectiveLevel()


def set_verbosity(verbosity: int) -> None:
    """Speak from this level on. Above WARNING, the library's warnings are silent as well."""
    get_logger().setLevel(verbosity)


def set_verbosity_debug() -> None:
    """Say everything."""
    set_verbosity(DEBUG)


def set_verbosity_info() -> None:
    """Say what is going on."""
    set_verbosity(INFO)


def set_verbosity_warning() -> None:
    """Say what may not be meant."""
    set_verbosity(WARNING)


def set_verbosity_error() -> None:
    """Say only what failed."""
    set_verbosity(ERROR)


def enable_propagation() -> None:
    """Let the program's own handlers see what the library says."""
    get_logger().propagate = True


def disable_propagation() -> None:
    """Keep what the library says from the program's own handlers."""
    get_logger().propagate = False
