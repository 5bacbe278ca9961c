"""`Trainer.to_script`: the program that does what a Trainer would do now."""

import functools
import math
import re
import shutil
import symtable
import textwrap
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import torch
from jinja2 import Environment, StrictUndefined, Template

from madang.errors import InputError
from madang.training import gathered, neftune, order, prediction, results, seed
from madang.training.early_stopping import EarlyStoppingCallback
from madang.training.loop import Plan
from madang.training.script import batches as making
from madang.training.script import files, parts, possible
from madang.training.script.sources import WIDTH, Sources, global_names, import_lines
from madang.training.used_rows import UsedRowsAdamW, clip_gradient, tables_by_rows
from madang.writing import write_text

if TYPE_CHECKING:
    from madang.training.trainer import Trainer

Values = dict[str, Any]
_IMPORTS = {
    "argparse": "import argparse",
    "copy": "import copy",
    "json": "import json",
    "random": "import random",
    "np": "import numpy as np",
    "torch": "import torch",
    "nn": "from torch import nn",
    "Path": "from pathlib import Path",
    "save_model": "from safetensors.torch import save_model",
    "AutoTokenizer": "from madang import AutoTokenizer",
    "load_from_disk": "from madang import load_from_disk",
    "default_data_collator": "from madang import default_data_collator",
}


def write_script(trainer: "Trainer", path: str | Path) -> Path:
    """Write the program to `path` and what it needs into a folder beside it, `<name>_files`; returns the path.

    Everything that cannot be written out is one InputError, and then nothing is written.
    """
    path = Path(path)
    if path.suffix != ".py" or not path.stem.isidentifier():
        raise InputError(f"a program is a file such as train.py; found {str(path)!r}.")
    folder = path.with_name(f"{path.stem}_files")
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".writing-", dir=path.parent) as name, files.undisturbed(trainer.model):
        part = Path(name) / "files"
        part.mkdir()
        text = _program(trainer, part, folder.name)
        shutil.rmtree(folder, ignore_errors=True)
        part.rename(folder)
    write_text(path, text)
    return path


def _program(trainer: "Trainer", folder: Path, files_name: str) -> str:
    sources, found = Sources(), possible.problems(trainer)
    loader = trainer.get_train_dataloader()
    found += possible.of_data(loader, "train_dataset")
    for name, dataset in _evaluated(trainer).items():
        found += possible.of_data(
            trainer.get_eval_dataloader(dataset), f"eval_dataset {name!r}" if name else "eval_dataset"
        )
    values: Values = {}
    if not found:
        for describe in (_described, _of_model, _of_batches, _of_optimizer, _of_loss, _of_evaluation, _of_loop):
            try:
                values |= describe(trainer, loader, folder, values, sources)
            except InputError as error:
                found.append(str(error))
                break
    if found:
        listed = "".join(f"\n- {problem}" for problem in found)
        raise InputError(f"this training cannot be written as a program of its own:{listed}")
    return _rendered(trainer, {**values, "files": files_name}, sources)


def _described(trainer: "Trainer", loader: Any, folder: Path, values: Values, sources: Sources) -> Values:
    """Devices and numbers."""
    args = trainer.args
    if args.full_determinism:
        sources.define(seed.enable_full_determinism)
    plan = Plan.of(args, loader)
    return {
        "plan": plan,
        "device": trainer.device.type,
        "threads": torch.get_num_threads(),
        "full_determinism": args.full_determinism,
        "tf32": args.tf32,
        "accumulation": args.gradient_accumulation_steps,
        "big_seed": args.seed >= 2**32,
        "order_seed": "SEED" if args.data_order_seed == args.seed else "ORDER_SEED",
        "fp16": args.fp16,
        "autocast": "torch.bfloat16" if args.bf16 else "torch.float16" if args.fp16 else "",
        "clips": bool(args.max_grad_norm),
        "drop_last": args.dataloader_drop_last,
    }


def _of_model(trainer: "Trainer", loader: Any, folder: Path, values: Values, sources: Sources) -> Values:
    """The model, and what is done to it before it learns."""
    args = trainer.args
    load = files.keep_model(trainer, folder)
    if args.neftune_noise_alpha:
        sources.define(neftune.with_noise)
    if args.label_smoothing_factor and not getattr(getattr(trainer.model, "head", None), "can_smooth", False):
        raise InputError("label_smoothing_factor: this model has no head whose loss could be smoothed")
    checkpointing = None
    if args.gradient_checkpointing:
        options = args.gradient_checkpointing_kwargs
        checkpointing = f"gradient_checkpointing_kwargs={options!r}".replace("'", '"') if options else ""
    return {
        "load_model": load,
        "chance": trainer.model_init is not None,
        "checkpointing": checkpointing,
        "smoothing": args.label_smoothing_factor,
        "noise": args.neftune_noise_alpha,
        "compile": _compiled(args),
        "learner": "compiled" if args.torch_compile else "model",
        "save_pretrained": hasattr(trainer.model, "save_pretrained"),
    }


def _compiled(args: Any) -> str:
    if not args.torch_compile:
        return ""
    mode = f', mode="{args.torch_compile_mode}"' if args.torch_compile_mode else ""
    return f'torch.compile(model, backend="{args.torch_compile_backend or "inductor"}"{mode})'


def _of_batches(trainer: "Trainer", loader: Any, folder: Path, values: Values, sources: Sources) -> Values:
    """The rows, their order, and how they become tensors."""
    args = trainer.args
    lengths = _lengths(trainer, loader, folder, sources) if args.group_by_length else ""
    loaders = {name: trainer.get_eval_dataloader(dataset) for name, dataset in _evaluated(trainer).items()}
    made = making.batches_of(trainer, [loader, *loaders.values()], sources)
    if made.draws or lengths:
        sources.define(seed.epoch_seed)
    sources.define(order.shuffled)
    if made.draws:
        sources.define(seed.drawing_from)
    collator, _ = making.inner_collator(loader)
    tokenizer = collator.tokenizer if made.uses_tokenizer else trainer.processing_class
    return {
        "batches": made,
        "collate": made.collator if made.collator.isidentifier() else "collate",
        "all_tensors": all(isinstance(value, torch.Tensor) for value in made.first.values()),
        "lengths": lengths,
        "load_tokenizer": files.keep_tokenizer(tokenizer, folder, needed=made.uses_tokenizer),
        "load_rows": files.keep_rows(loader, folder, "train"),
        "load_eval": {name: files.keep_rows(each, folder, _folder_name(name)) for name, each in loaders.items()},
        "several": isinstance(trainer.eval_dataset, Mapping) and bool(loaders),
    }


def _folder_name(name: str) -> str:
    return f"eval_{re.sub(r'[^0-9A-Za-z_-]', '_', name)}" if name else "eval"


def _lengths(trainer: "Trainer", loader: Any, folder: Path, sources: Sources) -> str:
    """An expression for the lengths of the rows' texts."""
    sources.define(order.grouped_by_length)
    dataset, column = trainer.train_dataset, trainer.args.length_column_name
    if column in (getattr(dataset, "column_names", None) or ()):
        import numpy as np

        np.save(folder / "lengths.npy", order.text_lengths(dataset, column))
        return 'np.load(FILES / "lengths.npy")'
    return 'np.array([len(row["input_ids"]) for row in rows])'


def _evaluated(trainer: "Trainer") -> dict[str, Any]:
    """The datasets that are evaluated on the way, by name; a single one has none."""
    if not possible.evaluates(trainer):
        return {}
    given = trainer.eval_dataset
    return dict(given) if isinstance(given, Mapping) else {"": given}


def _of_optimizer(trainer: "Trainer", loader: Any, folder: Path, values: Values, sources: Sources) -> Values:
    steps = values["plan"].steps
    rate = trainer.args.learning_rate
    if trainer.optimizer_cls_and_kwargs is not None:
        cls, options = trainer.optimizer_cls_and_kwargs
        rate = cls([torch.nn.Parameter(torch.zeros(2, 2))], **options).defaults["lr"]
    warmup = trainer.args.get_warmup_steps(steps)
    optimizer = parts.optimizer_lines(trainer, sources)
    by_rows = UsedRowsAdamW.__name__ in sources.definitions
    return {
        "learning_rate": rate,
        "warmup": warmup,
        "optimizer": optimizer,
        "tables": tables_by_rows(trainer) if by_rows else [],
        "clip": sources.define(clip_gradient) if by_rows and values["clips"] else "nn.utils.clip_grad_norm_",
        "schedule": parts.schedule_lines(trainer, steps, warmup, rate, sources),
        "plateau": trainer.args.lr_scheduler_type == "reduce_lr_on_plateau",
    }


def _of_loss(trainer: "Trainer", loader: Any, folder: Path, values: Values, sources: Sources) -> Values:
    """How a batch becomes a loss, found by trying the first one."""
    model, batch = trainer.model, values["batches"].first
    labels = [name for name in trainer.label_names if batch.get(name) is not None]
    counts = callable(getattr(model, "count_targets", None))
    loss_function = ""
    if trainer.compute_loss_func is not None:
        try:
            loss_function = sources.use(trainer.compute_loss_func)
        except InputError as error:
            raise InputError(f"compute_loss_func: {error}") from None
    model.eval()
    with torch.no_grad(), trainer.autocast():
        outputs = model(**batch)
        loss, inputs = None, "**batch"
        if not loss_function:
            loss = prediction.loss_of(outputs, batch, model)
        elif "decoder_input_ids" not in (getattr(model, "input_names", None) or ()):
            names = ", ".join(f'"{name}"' for name in labels)
            condition = f"name != {names}" if len(labels) == 1 else f"name not in ({names})"
            inputs = f"**{{name: values for name, values in batch.items() if {condition}}}"
    told = ("loss" if values["accumulation"] > 1 else "loss.detach()") + (
        "" if loss is None or loss.dtype in (torch.float32, torch.bfloat16, torch.float16) else ".float()"
    )
    one = f'batch["{labels[0]}"]' if len(labels) == 1 else ", ".join(f'batch["{name}"]' for name in labels)
    return {
        "loss_function": loss_function,
        "inputs": inputs,
        "labels": one if len(labels) == 1 else f"({one})",
        "has_count": counts and bool(labels),
        "counts": counts and not loss_function,
        "counted": next((name for name, value in batch.items() if isinstance(value, torch.Tensor) and value.dim()), ""),
        "loss_of": _place_of_loss(outputs),
        "told_loss": told,
        "outputs": outputs,
        "given_labels": batch[labels[0]] if len(labels) == 1 else tuple(batch[name] for name in labels),
        "is_labelled": bool(labels),
    }


def _place_of_loss(outputs: Any) -> str:
    """Where the loss is in what a model gives."""
    if isinstance(outputs, Mapping) or hasattr(outputs, "keys"):
        found, place = outputs["loss"] if "loss" in outputs.keys() else None, '["loss"]'  # noqa: SIM118
        if found is not None and getattr(outputs, "loss", None) is found:
            place = ".loss"
    elif isinstance(outputs, (tuple, list)):
        found, place = outputs[0], "[0]"
    else:
        found, place = outputs, ""
    return place + (".reshape(())" if isinstance(found, torch.Tensor) and found.dim() else "")


def _of_evaluation(trainer: "Trainer", loader: Any, folder: Path, values: Values, sources: Sources) -> Values:
    """What is computed at evaluations, and what it decides."""
    args, evaluates = trainer.args, possible.evaluates(trainer)
    if evaluates and not values["is_labelled"]:
        raise InputError("eval_dataset: it has no labels, so there is nothing to evaluate")
    found: Values = {"evaluates": evaluates, "metrics": "", "preprocess": "", "logits": ""}
    if evaluates and trainer.compute_metrics is not None and not args.prediction_loss_only:
        found |= _of_metrics(trainer, values["outputs"], values["given_labels"], sources)
    metric = args.metric_for_best_model or "loss"
    stopper = next((c for c in trainer.callbacks.list if isinstance(c, EarlyStoppingCallback)), None)
    found |= {
        "metric": metric if metric.startswith("eval_") else f"eval_{metric}",
        "greater": args.greater_is_better,
        "best": evaluates and args.load_best_model_at_end,
        "stopping": _of_stopping(stopper, args) if stopper is not None else None,
    }
    return found


def _of_metrics(trainer: "Trainer", outputs: Any, labels: Any, sources: Sources) -> Values:
    """What is computed of all predictions together."""
    found: Values = {"preprocess": ""}
    for name, function in (("metrics", trainer.compute_metrics), ("preprocess", trainer.preprocess_logits_for_metrics)):
        if function is not None:
            try:
                found[name] = sources.use(function)
            except InputError as error:
                said = "compute_metrics" if name == "metrics" else "preprocess_logits_for_metrics"
                raise InputError(f"{said}: {error}") from None
    sources.define(results.EvalPrediction)
    return found | _of_answers(trainer, outputs, labels, sources)


def _of_answers(trainer: "Trainer", outputs: Any, labels: Any, sources: Sources) -> Values:
    """How the answers of batches are kept and joined."""
    ignored = getattr(getattr(trainer.model, "config", None), "keys_to_ignore_at_inference", None)
    answer = prediction.predictions_of(outputs, after_loss=True, ignore_keys=ignored)
    place = next((place for place, value in _places(outputs) if _is_same(value, answer)), "")
    if not place:
        sources.define(prediction.predictions_of)
        place = "predictions_of(output, after_loss=True" + (f", ignore_keys={ignored!r})" if ignored else ")")
    nested = not isinstance(answer, torch.Tensor) or not isinstance(labels, torch.Tensor)
    if nested and trainer.wants_classes:
        raise InputError("compute_metrics: it wants classes, and this model answers with several things")
    # answers for every token are as wide as the texts of a batch
    widths = nested or answer.ndim > 2 or labels.ndim > 1 or trainer.preprocess_logits_for_metrics is not None
    join = "joined_nested" if nested else "joined" if widths else "np.concatenate"
    if nested:
        sources.define(gathered.to_numpy)
    if widths:
        sources.define(gathered.joined_nested if nested else gathered.joined)
    half = not nested and answer.dtype in (torch.bfloat16, torch.float16)
    return {
        "logits": place
        + (".argmax(-1)" if trainer.wants_classes and not trainer.preprocess_logits_for_metrics else ""),
        "nested": nested,
        "half": half and not trainer.wants_classes,
        "join": join,
    }


def _places(outputs: Any) -> list[tuple[str, Any]]:
    """Every part of what a model gives, and how a program gets at it."""
    if isinstance(outputs, Mapping) or hasattr(outputs, "keys"):
        named = [(name, outputs[name]) for name in outputs.keys()]  # noqa: SIM118
        by_attribute = all(hasattr(outputs, name) for name, _ in named)
        return [(f"output.{name}" if by_attribute else f'output["{name}"]', value) for name, value in named]
    if isinstance(outputs, (tuple, list)):
        return [(f"output[{place}]", value) for place, value in enumerate(outputs)]
    return [("output", outputs)]


def _is_same(value: Any, answer: Any) -> bool:
    both = isinstance(value, torch.Tensor) and isinstance(answer, torch.Tensor)
    return both and value.shape == answer.shape and value.data_ptr() == answer.data_ptr()


def _of_stopping(callback: EarlyStoppingCallback, args: Any) -> Values:
    metric = callback.watched(args)
    gain = f'metrics["{metric}"] - best_seen' if callback._greater(args) else f'best_seen - metrics["{metric}"]'
    threshold, patience = callback.early_stopping_threshold, callback.early_stopping_patience
    return {"metric": metric, "gain": gain, "threshold": threshold, "patience": patience}


def _of_loop(trainer: "Trainer", loader: Any, folder: Path, values: Values, sources: Sources) -> Values:
    """At which steps what happens."""
    args, plan = trainer.args, values["plan"]
    every = args.steps("logging_steps", plan.steps)
    often = args.logging_strategy == "steps" and every <= plan.steps
    conditions = ["step == 1"] * (args.logging_first_step and not (often and every == 1))
    conditions += ["step % LOGGING_STEPS == 0"] * often
    eval_when = ""
    if args.eval_strategy == "steps":
        regular = args.steps("eval_steps", plan.steps)
        eval_when = "step % EVAL_STEPS == 0" + (" or step == STEPS" if plan.steps % regular else "")
        if args.eval_delay:
            late = f"({eval_when})" if " or " in eval_when else eval_when
            eval_when = f"step >= {args.eval_delay} and {late}"
    full = plan.epochs * math.ceil(plan.batches_per_epoch / plan.accumulation)
    return {
        "log_when": " or ".join(conditions),
        "logs": bool(conditions) or args.logging_strategy == "epoch",
        "logs_epochs": args.logging_strategy == "epoch",
        "eval_when": eval_when,
        "evals_epochs": args.eval_strategy == "epoch",
        "eval_delay": args.eval_delay,
        "eval_on_start": args.eval_on_start,
        "leaves_early": plan.steps < full,
    }


# the text -------------------------------------------------------------------------------------------------------------


def _rendered(trainer: "Trainer", values: Values, sources: Sources) -> str:
    body = _tidied(_template().render(values))
    _check_names(body, sources)
    definitions = "\n\n\n".join(_grouped(list(sources.definitions.values())))
    used = global_names(body) | global_names(definitions)
    numbers = _numbers(trainer, values, used)
    imports = dict(sources.imports)
    for name in used - sources.definitions.keys():
        if name in _IMPORTS:
            imports[name] = _IMPORTS[name]
        elif name.startswith("AutoModel"):
            imports[name] = f"from madang import {name}"
    head = f'"""{_docstring(trainer, values)}\n"""\n\n{import_lines(imports)}\n\n{numbers}\n\n\n'
    return head + definitions + "\n\n\n" + body


@functools.cache
def _template() -> Template:
    source = (Path(__file__).parent / "train.py.jinja").read_text(encoding="utf-8")
    # what is written is Python, not HTML
    options = Environment(trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined, autoescape=False)
    return options.from_string(source)


def _grouped(definitions: list[str]) -> list[str]:
    """Constants that follow one another, on lines that follow one another."""
    found: list[str] = []
    constant = False
    for text in definitions:
        is_constant = not text.startswith(("def ", "class ", "@"))
        if is_constant and constant:
            found[-1] += f"\n{text}"
        else:
            found.append(text)
        constant = is_constant
    return found


def _tidied(text: str) -> str:
    """No spaces at the ends of lines, no more than two empty lines together and one inside of a block."""
    text = re.sub(r"[ \t]+\n", "\n", text)
    text = re.sub(r"\n{4,}", "\n\n\n", text)
    return re.sub(r"\n{3,}(?=[ \t])", "\n\n", text).strip() + "\n"


def _check_names(body: str, sources: Sources) -> None:
    """Whether something of the user's is called like something in the program."""
    table = symtable.symtable(body, "program", "exec")
    own = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_assigned()}
    for name in sorted(own & (sources.definitions.keys() | sources.imports.keys())):
        raise InputError(f"the function {name} is called like something else in the program; rename it.")


def _numbers(trainer: "Trainer", values: Values, used: set[str]) -> str:
    """The constants that the program uses."""
    args, plan = trainer.args, values["plan"]
    every = args.steps("logging_steps", plan.steps) if args.logging_steps else 0
    known = [
        ("SEED", args.seed, "chance begins here: dropout, and the order of the rows"),
        ("ORDER_SEED", args.data_order_seed, "for the order of the rows"),
        ("EPOCHS", plan.epochs, "how often every row is seen"),
        ("STEPS", plan.steps, "optimizer steps in all"),
        ("BATCH_SIZE", args.per_device_train_batch_size, "rows in a batch"),
        ("ACCUMULATION", plan.accumulation, "batches in an optimizer step"),
        ("LEARNING_RATE", values["learning_rate"], ""),
        ("WARMUP_STEPS", values["warmup"], "steps during which the learning rate rises"),
        ("WEIGHT_DECAY", args.weight_decay, ""),
        ("MAX_GRAD_NORM", args.max_grad_norm, ""),
        ("LOGGING_STEPS", every, ""),
        ("EVAL_BATCH_SIZE", args.per_device_eval_batch_size, ""),
        ("EVAL_STEPS", args.steps("eval_steps", plan.steps) if args.eval_steps else 0, ""),
    ]
    return "\n".join(
        f"{name} = {value!r}" + (f"  # {comment}" if comment else "") for name, value, comment in known if name in used
    )


def _docstring(trainer: "Trainer", values: Values) -> str:
    plan = values["plan"]
    epochs = f"{plan.epochs} epoch{'s' if plan.epochs > 1 else ''}"
    model, count = type(trainer.model).__name__, len(trainer.train_dataset)
    left = ", ".join(possible.left_out(trainer))
    name = values["files"].removesuffix("_files")
    paragraphs = [
        f"Train a {model} on {count} rows: {plan.steps} steps in {epochs}.",
        f"Run it with `python {name}.py --output outputs`. What it needs lies beside it in the "
        f"folder `{values['files']}`: the weights it begins with and the prepared rows.",
        "This is what a Trainer does with these arguments, step for step. On a CPU, with the same version of torch, "
        "the losses and the final weights are the same bits.",
        f"Left out, since nothing that is learned depends on it: {left}.",
    ]
    return "\n\n".join(textwrap.fill(paragraph, WIDTH - 4) for paragraph in paragraphs)
