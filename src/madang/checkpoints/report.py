"""What loading did: where the body came from, which parameters are new, what in the file went unused."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class LoadingReport:
    """Published names throughout. `str(report)` is the one warning; it is empty when there is nothing to say.

    `unused` are tensors of a known head that was not asked for; `unexpected` are tensors nothing is known about.
    """

    model: str
    source: str
    missing: list[str] = field(default_factory=list)
    mismatched: list[tuple[str, tuple[int, ...], tuple[int, ...]]] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    loaded: int = 0

    @property
    def drawn(self) -> list[str]:
        """All parameters that hold fresh random numbers."""
        return [*self.missing, *(name for name, _, _ in self.mismatched)]

    def __str__(self) -> str:
        lines = []
        if self.missing:
            lines.append(f"  new, drawn at random: {_listed(self.missing)}. Train before use.")
        for name, found, expected in self.mismatched:
            lines.append(
                f"  new, drawn at random: {name}: the file has {found}, this model {expected}. Train before use."
            )
        if self.unexpected:
            lines.append(f"  in the file, but of no use here: {_listed(self.unexpected)}")
        if not lines:
            return ""
        return "\n".join([f"{self.model}: {self.loaded} tensors from {self.source}", *lines])

    def info(self) -> dict[str, list[object]]:
        """The same under the names of `output_loading_info`."""
        return {
            "missing_keys": list(self.missing),
            "unexpected_keys": [*self.unexpected, *self.unused],
            "mismatched_keys": list(self.mismatched),
            "error_msgs": [],
        }


def _listed(names: list[str], most: int = 12) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")
