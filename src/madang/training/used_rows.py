"""AdamW for large embedding tables of which a batch uses a few rows: the same numbers, without touching the others."""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from madang.training.learning import Learning

# Numbers in a table from which on it pays. With 2 million a step on it takes 2 ms where it took 3 to 4.5.
LARGE = 2_000_000
# Whoever has one of these may look at gradients, and expects them whole.
_METHODS = ("create_optimizer_and_scheduler", "create_optimizer", "training_step", "clip_gradients", "step_optimizer")
_EVENTS = ("on_substep_end", "on_pre_optimizer_step", "on_optimizer_step")


class UsedRowsAdamW(torch.optim.AdamW):
    """torch's AdamW, which also takes sparse gradients: those of `nn.Embedding(…, sparse=True)`.

    A row of the table that no text has used yet never had a gradient: its averages are zero, and all that AdamW would
    do to it is weight decay. So AdamW is given the used rows in place of the table, at every step all of them
    (SparseAdam leaves out those that are not in the batch, which is another method). `state_dict()` is AdamW's.
    """

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._used: dict[Tensor, Tensor] = {}
        self._zeros: dict[Tensor, Tensor] = {}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Also called when a state is loaded: which rows are used is seen from it at the next step."""
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self._used, self._zeros = {}, {}

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Change the weights; returns what `closure`, which makes the gradients, gave."""
        loss = None if closure is None else torch.enable_grad()(closure)()
        with ExitStack() as replaced:
            for group in self.param_groups:
                for place, table in enumerate(group["params"]):
                    if table.grad is None or not table.grad.is_sparse:
                        self._used.pop(table, None)  # it may be a table, and any row have a gradient now
                        continue
                    table.grad = by_row(table.grad)
                    rows = self._used_rows(table, table.grad.indices()[0])
                    # to move more rows to and fro takes longer than to go over the whole table
                    few = len(rows) <= len(table) / 8
                    replaced.enter_context(self._rows(group, place, rows) if few else self._whole(table, table.grad))
            super().step()
        return loss

    def _used_rows(self, table: Tensor, touched: Tensor) -> Tensor:
        """The numbers of the rows that ever had a gradient, in order."""
        if table not in self._used:  # of the steps before this one, the averages know
            averages = [value for value in self.state[table].values() if value.ndim]
            nothing = torch.zeros(len(table), dtype=torch.bool)
            self._used[table] = sum(((average != 0).any(1) for average in averages), start=nothing)
        self._used[table][touched] = True
        return self._used[table].nonzero()[:, 0]

    @contextmanager
    def _rows(self, group: dict[str, Any], place: int, rows: Tensor) -> Iterator[None]:
        """While this lasts, the group has these rows in place of a table."""
        table = group["params"][place]
        few, (touched,) = nn.Parameter(table[rows]), table.grad.indices()
        few.grad = torch.zeros_like(few).index_copy_(0, torch.searchsorted(rows, touched), table.grad.values())
        of_table, of_few = self.state[table], self.state[few]
        of_few.update({name: value[rows] if value.ndim else value for name, value in of_table.items()})
        group["params"][place] = few
        try:
            yield
        finally:
            group["params"][place] = table
            del self.state[few]
        if group["weight_decay"]:
            table.mul_(1 - group["lr"] * group["weight_decay"])
        table.index_copy_(0, rows, few)
        for name, value in of_few.items():
            if value.ndim and name not in of_table:
                of_table[name] = torch.zeros_like(table)
            of_table[name] = of_table[name].index_copy_(0, rows, value) if value.ndim else value

    @contextmanager
    def _whole(self, table: Tensor, gradient: Tensor) -> Iterator[None]:
        """While this lasts, the table's gradient has all rows; it is kept, as zeros, since memory takes long to get."""
        touched = gradient.indices()[0]
        if table not in self._zeros:
            self._zeros[table] = torch.zeros_like(table)
        table.grad = self._zeros[table].index_copy_(0, touched, gradient.values())
        try:
            yield
        finally:
            table.grad = gradient
            self._zeros[table][touched] = 0.0


def by_row(gradient: Tensor) -> Tensor:
    """A sparse gradient with one entry for each row instead of one for each token.

    Like `coalesce()`, but summed in the order of the tokens: the bits of a gradient that is not sparse.
    """
    if gradient.is_coalesced():
        return gradient
    rows, places = gradient._indices()[0].unique(return_inverse=True)
    values = gradient._values()
    values = values.new_zeros(len(rows), values.shape[1]).index_add_(0, places, values)
    return torch.sparse_coo_tensor(rows[None], values, gradient.shape, is_coalesced=True, check_invariants=False)


def clip_gradient(parameters: Iterable[Tensor], longest: float) -> Tensor:
    """`clip_grad_norm_` for gradients some of which are sparse; returns the length of all of them together."""
    parts = []
    for parameter in parameters:
        if parameter.grad is not None and parameter.grad.is_sparse:
            parameter.grad = by_row(parameter.grad)
            values = parameter.grad.values()
            parameter = torch.empty_like(values)  # stands for the rows, as torch asks parameters for their gradients
            parameter.grad = values
        parts.append(parameter)
    return nn.utils.clip_grad_norm_(parts, longest)


def tables_by_rows(trainer: "Learning") -> list[str]:
    """The paths of the embedding tables that learn by `UsedRowsAdamW`: large ones, whose gradient nobody else sees.

    None unless one process trains on a CPU, with the default optimizer, and without what needs whole gradients:
    float16's scaler, torch.compile, methods and callbacks of the user's that come between gradient and step.
    """
    args, model = trainer.args, trainer.model
    methods = [getattr(trainer, name) for name in _METHODS]
    methods += [getattr(callback, name, None) for callback in trainer.callbacks.list for name in _EVENTS]
    if (
        trainer.device.type != "cpu"
        or trainer.processes.count > 1
        or args.fsdp
        or args.optim != "adamw_torch_fused"
        or trainer.optimizer_cls_and_kwargs is not None
        or trainer.given_optimizers[0] is not None
        or args.fp16
        or args.torch_compile
        or any(method is not None and not _is_ours(method) for method in methods)
    ):
        return []
    owners = Counter(id(parameter) for module in model.modules() for parameter in module.parameters(recurse=False))
    return [
        path
        for path, module in model.named_modules()
        if isinstance(module, nn.Embedding)
        and owners[id(module.weight)] == 1  # a head that shares it has a gradient for all rows
        and _learns_by_rows(module)
    ]


def _is_ours(method: Any) -> bool:
    return str(getattr(method, "__module__", "")).startswith("madang.")


def _learns_by_rows(module: nn.Embedding) -> bool:
    """Whether a table is large and ordinary."""
    weight = module.weight
    return (
        weight.requires_grad
        and weight.numel() > LARGE
        and weight.dtype == torch.float32
        and weight.shape[1] % 16 == 0  # whole lines of the processor's cache: the kernel treats each row alike
        and not module.sparse
        and not module.scale_grad_by_freq
        and not weight._backward_hooks
        and not weight._post_accumulate_grad_hooks
    )


@contextmanager
def learning_by_rows(model: nn.Module, paths: Iterable[str]) -> Iterator[None]:
    """While this lasts, the gradients of these tables are sparse."""
    tables: list[Any] = [model.get_submodule(path) for path in paths]
    for table in tables:
        table.sparse = True
    try:
        yield
    finally:
        for table in tables:
            table.sparse = False
            if table.weight.grad is not None and table.weight.grad.is_sparse:  # a step was left in the middle
                table.weight.grad = table.weight.grad.to_dense()
