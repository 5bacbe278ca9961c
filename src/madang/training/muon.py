"""Muon for the matrices inside a network, AdamW for everything around them, as one optimizer."""

from collections.abc import Callable, Iterable
from typing import Any

import torch

from madang.errors import ConfigError


class Muon(torch.optim.Optimizer):
    """Momentum whose matrices are made orthogonal before they are applied (Jordan et al. 2024), and AdamW.

    Groups with `muon=True` hold matrices and go to Muon, the others to AdamW (`betas`, `eps`, `fused`). One learning
    rate and one weight decay serve both: with `adjust_lr_fn="match_rms_adamw"` Muon's updates are as long as AdamW's
    would be (Liu et al. 2025, arXiv 2502.16982). Needs torch 2.9.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_steps: int = 5,
        adjust_lr_fn: str = "match_rms_adamw",
        fused: bool | None = None,
    ) -> None:
        if not hasattr(torch.optim, "Muon"):
            raise ConfigError(f"Muon came with torch 2.9; this is {torch.__version__}. Install a newer one.")
        given: dict[str, Any] = {"lr": lr, "weight_decay": weight_decay}
        momenta: dict[str, Any] = {
            "momentum": momentum,
            "nesterov": nesterov,
            "ns_steps": ns_steps,
            "adjust_lr_fn": adjust_lr_fn,
        }
        nothing = torch.zeros(0, 0)
        # each works on the groups it is handed at every step, with the state they share
        self._muon = torch.optim.Muon([nothing], **given, **momenta)
        self._adamw = torch.optim.AdamW([nothing], betas=betas, eps=eps, fused=fused, **given)
        super().__init__(params, {**self._muon.defaults, **self._adamw.defaults, "muon": False})

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_muon": self._muon, "_adamw": self._adamw}

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Another group; one for Muon must hold nothing but matrices."""
        if param_group.get("muon", False):
            # the two mean different things by eps: AdamW's is not meant here
            param_group.setdefault("eps", self._muon.defaults["eps"])
        super().add_param_group(param_group)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change the parameters once."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for part, wanted in ((self._muon, True), (self._adamw, False)):
            part.param_groups = [group for group in self.param_groups if group["muon"] is wanted]
            part.state = self.state
            part.step()  # type: ignore[no-untyped-call]
        return loss
