"""What can be hooked into the training loop: the events, what each is told, and the one that follows the strategies."""

import dataclasses
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from madang.errors import CheckpointError, InputError
from madang.writing import write_text

if TYPE_CHECKING:
    from madang.training.arguments import TrainingArguments


class ExportableState(ABC):
    """Something whose state is kept in checkpoints: what it was made with (`args`) and what it came to know since
    (`attributes`), both as JSON can hold them."""

    @abstractmethod
    def state(self) -> dict[str, dict[str, Any]]:
        """{"args": {…}, "attributes": {…}}."""

    @classmethod
    def from_state(cls, state: dict[str, dict[str, Any]]) -> Self:
        """A new one that stands where the one with this `state` stood."""
        made = cls(**state["args"])
        vars(made).update(state["attributes"])
        return made


@dataclass
class TrainerState:
    """Where training stands; kept in every checkpoint as `trainer_state.json`."""

    epoch: float = 0.0
    """Epochs done, with the part of the current one."""
    global_step: int = 0
    """Optimizer steps done."""
    max_steps: int = 0
    """Optimizer steps in all."""
    num_train_epochs: int = 0
    logging_steps: float = 500
    eval_steps: float | None = None
    save_steps: float = 500
    train_batch_size: int | None = None
    num_input_tokens_seen: int = 0
    best_metric: float | None = None
    """The best value so far of `metric_for_best_model`."""
    best_global_step: int | None = None
    best_model_checkpoint: str | None = None
    """The folder of the checkpoint that has it."""
    log_history: list[dict[str, Any]] = field(default_factory=list)
    """Everything that was logged, each with its step."""
    is_local_process_zero: bool = True
    is_world_process_zero: bool = True
    """Whether this is the process that prints, reports and saves."""
    is_hyper_param_search: bool = False
    trial_name: str | None = None
    trial_params: dict[str, Any] | None = None
    stateful_callbacks: Any = field(default_factory=dict)
    """States by class name, a list of them where a class is there twice. May be given as the callbacks themselves."""
    run_name: str | None = None
    """Not kept in checkpoints: they have the arguments beside them."""

    def __post_init__(self) -> None:
        if not isinstance(self.stateful_callbacks, dict):
            self.stateful_callbacks = states_of(self.stateful_callbacks or ())

    def to_json(self) -> str:
        """As kept in checkpoints, under the names that transformers reads."""
        kept = dataclasses.asdict(self)
        del kept["run_name"]
        return json.dumps(kept, indent=2, sort_keys=True) + "\n"

    def save_to_json(self, path: str | os.PathLike[str]) -> None:
        """Write the file, aside first."""
        write_text(path, self.to_json())

    @classmethod
    def load_from_json(cls, path: str | os.PathLike[str]) -> Self:
        """From a checkpoint's `trainer_state.json`, also one that transformers wrote; unknown fields are left out.

        Raises CheckpointError for a file that is no such thing.
        """
        try:
            found = json.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise CheckpointError(f"{os.fspath(path)} cannot be read: {error}") from error
        if not isinstance(found, dict):
            raise CheckpointError(f"{os.fspath(path)} should hold a JSON object, but it is a {type(found).__name__}.")
        known = {field.name for field in dataclasses.fields(cls)}
        # null stands for "never set" in files of others; where None is no value here, the default is meant
        optional = {"eval_steps", "train_batch_size", "best_metric", "best_global_step", "best_model_checkpoint"}
        optional |= {"trial_name", "trial_params", "run_name"}
        given = {name: value for name, value in found.items() if name in known}
        return cls(**{name: value for name, value in given.items() if value is not None or name in optional})


@dataclass
class TrainerControl(ExportableState):
    """What the loop should do next; callbacks set these, the loop acts and clears them."""

    should_training_stop: bool = False
    should_epoch_stop: bool = False
    should_save: bool = False
    should_evaluate: bool = False
    should_log: bool = False

    def state(self) -> dict[str, dict[str, Any]]:
        """All five flags."""
        return {"args": dict(vars(self)), "attributes": {}}


class TrainerCallback:
    """Called at the events of training. Override those you need; each gets `args`, `state`, `control` and, by name,
    `model`, `tokenizer` (also as `processing_class`), `optimizer`, `lr_scheduler`, `train_dataloader`,
    `eval_dataloader`, and where it says so `logs` or `metrics`. Setting a flag of `control` steers the loop.
    """

    def on_init_end(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> Any:
        """The trainer was made."""

    def on_train_begin(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> Any:
        """Before the first epoch."""

    def on_train_end(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> Any:
        """After the last epoch."""

    def on_epoch_begin(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> Any:
        """Before an epoch's first step."""

    def on_epoch_end(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> Any:
        """After an epoch's last step."""

    def on_step_begin(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> Any:
        """Before an optimizer step's first micro-batch."""

    def on_substep_end(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> Any:
        """After each micro-batch but the last of an optimizer step."""

    def on_pre_optimizer_step(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> Any:
        """The gradients are complete (and shortened), the weights not changed yet."""

    def on_optimizer_step(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> Any:
        """The weights are changed, the gradients not cleared yet."""

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> Any:
        """After an optimizer step."""

    def on_log(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> Any:
        """Something was logged: `logs`."""

    def on_evaluate(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> Any:
        """An evaluation ended: `metrics`."""

    def on_predict(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> Any:
        """A prediction ended: `metrics`."""

    def on_prediction_step(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> Any:
        """A batch was evaluated."""

    def on_save(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> Any:
        """A checkpoint was written."""

    def on_push_begin(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> Any:
        """An upload to a hub begins."""


EVENTS = tuple(name for name in vars(TrainerCallback) if name.startswith("on_"))


def states_of(callbacks: Iterable[Any]) -> dict[str, Any]:
    """The states of those that have one, by class name; a list of states where a class is there more than once."""
    found: dict[str, list[Any]] = {}
    for callback in callbacks:
        if isinstance(callback, ExportableState):
            found.setdefault(type(callback).__name__, []).append(callback.state())
    return {name: states[0] if len(states) == 1 else states for name, states in found.items()}


class Callbacks:
    """The callbacks of one trainer, called in order."""

    def __init__(self, callbacks: Iterable[Any]) -> None:
        self.list: list[TrainerCallback] = []
        for callback in callbacks:
            self.add(callback)

    def add(self, callback: Any) -> None:
        """Add a callback, or an instance of a callback class."""
        made = callback() if isinstance(callback, type) else callback
        if not any(hasattr(made, event) for event in EVENTS):
            raise InputError(f"{made!r} is no callback: it has none of the methods {', '.join(EVENTS[:4])}, …")
        self.list.append(made)

    def remove(self, callback: Any) -> TrainerCallback | None:
        """Take out a callback, or the first of a class; the one taken out, or None."""
        for known in self.list:
            if known is callback or (isinstance(callback, type) and isinstance(known, callback)):
                self.list.remove(known)
                return known
        return None

    def fire(self, event: str, args: Any, state: TrainerState, control: TrainerControl, **told: Any) -> None:
        """Call every callback that has the event; one may return a control of its own, whose flags then count."""
        for callback in self.list:
            method = getattr(callback, event, None)
            returned = method(args, state, control, **told) if method is not None else None
            if isinstance(returned, TrainerControl) and returned is not control:
                vars(control).update(vars(returned))


class FlowCallback(TrainerCallback):
    """Sets the flags as the strategies in the arguments say.

    Where steps are counted, the last one is evaluated and saved as well: what training ends with is what one wants to
    see and keep. Nothing is evaluated before `eval_delay` (steps, or epochs where epochs are counted).
    """

    def on_step_end(
        self, args: "TrainingArguments", state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        step, total = state.global_step, state.max_steps
        last = step >= total
        first = step == 1 and args.logging_first_step
        if first or (args.logging_strategy == "steps" and step % args.steps("logging_steps", total) == 0):
            control.should_log = True
        if args.eval_strategy == "steps" and step >= args.eval_delay:
            control.should_evaluate |= last or step % args.steps("eval_steps", total) == 0
        if args.save_strategy == "steps":
            control.should_save |= last or step % args.steps("save_steps", total) == 0
        control.should_training_stop |= last

    def on_epoch_end(
        self, args: "TrainingArguments", state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        control.should_log |= args.logging_strategy == "epoch"
        control.should_evaluate |= args.eval_strategy == "epoch" and state.epoch >= args.eval_delay
        control.should_save |= args.save_strategy == "epoch"
