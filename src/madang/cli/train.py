"""`madang train`: a YAML file says model, data and arguments; load, tokenize, train, evaluate, save."""

import argparse
import os
import shutil
import signal
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from madang.cli.tables import cut, padded, printable, terminal_width
from madang.cli.training_file import EXAMPLE, TASKS, TrainingFile, arguments_of, read_training_file
from madang.errors import ConfigError, InputError

ABOUT = f"""The file says which model, which data and how:

  model: klue/roberta-base
  data: {{path: news.csv, text: title, label: topic}}
  training: {{num_train_epochs: 3, learning_rate: 5e-5}}

Tasks: {", ".join(TASKS)}.
In the output folder there are then the model and its tokenizer, a card (README.md), metrics.jsonl and
curve.png, the file that was used (training.yaml), and checkpoints, from which --resume goes on."""
EXAMPLES = """examples:
  madang train --example > train.yaml
  madang train train.yaml --dry-run
  madang train train.yaml --set training.learning_rate=3e-5 --set data.limit=2000 --output outputs/second
  madang train train.yaml --resume"""
RATHER = {  # than the defaults of TrainingArguments, where the file says nothing
    "logging_steps": 0.02,
    "save_strategy": "epoch",
    "save_total_limit": 2,
    "report_to": "jsonl",
    "per_device_eval_batch_size": 32,
}
LABEL = 12  # places before what is told


def add_parser(subparsers: Any) -> None:
    """Add `madang train` to the commands."""
    parser = subparsers.add_parser(
        "train",
        help="train a model as a file says",
        description=f"Train a model as a file says.\n\n{ABOUT}",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=_run)
    parser.add_argument("config", nargs="?", metavar="FILE", help="a YAML file")
    parser.add_argument("--example", action="store_true", help="print a file to begin with, with comments")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change the file: training.seed=1"
    )
    parser.add_argument("--output", metavar="FOLDER", help="where everything goes (training.output_dir)")
    parser.add_argument(
        "--resume", nargs="?", const=True, metavar="CHECKPOINT", help="go on from the newest checkpoint, or this one"
    )
    parser.add_argument("--overwrite", action="store_true", help="begin anew where checkpoints of an earlier run are")
    parser.add_argument("--dry-run", action="store_true", help="show what would happen, write nothing")
    parser.add_argument("--to-script", metavar="FILE", help="write a plain PyTorch program that does the same")


def _run(arguments: argparse.Namespace) -> int:
    if arguments.example:
        print(EXAMPLE, end="")
        return 0
    if arguments.config is None and str(arguments.resume).endswith((".yaml", ".yml")):  # --resume train.yaml
        arguments.config, arguments.resume = arguments.resume, True
    if arguments.config is None:
        raise InputError("madang train needs a file: `madang train --example > train.yaml` makes one to begin with.")
    path = Path(arguments.config)
    changes = [*arguments.set, *([f"training.output_dir={arguments.output}"] if arguments.output else [])]
    file = read_training_file(path, changes)
    args = _arguments(file)
    _check_folder(Path(args.output_dir), arguments, args)
    work = Work(file, args)
    work.tell(resuming=arguments.resume)
    if arguments.dry_run:
        work.tell_first_example()
        say("", "\nNothing was trained or written (--dry-run).")
        return 0
    if arguments.to_script:
        return _to_script(work, Path(arguments.to_script))
    try:
        with _one_more_step(work.trainer):
            work.train(arguments.resume, overwrite=arguments.overwrite or args.overwrite_output_dir)
    except KeyboardInterrupt as interrupt:
        return _interrupted(work, path, arguments, interrupt)
    return 0


def _arguments(file: TrainingFile) -> Any:
    """The training arguments, with defaults that suit a command."""
    rather: dict[str, Any] = {"output_dir": str(Path("outputs") / file.path.stem), **RATHER}
    given = file.section("training")
    held_out = file.section("data").get("validation") not in (False, 0) and given.get("do_eval") not in (False, "no")
    if held_out:
        rather["eval_strategy"] = "epoch"
    if "max_steps" in given and "save_steps" in given:
        del rather["save_strategy"]
    if "save_steps" in given:
        rather["save_strategy"] = "steps"
    if "eval_steps" in given and held_out:
        rather["eval_strategy"] = "steps"
    if {"evaluation_strategy", "eval_strategy"} & set(given):
        rather.pop("eval_strategy", None)
    if given.get("load_best_model_at_end") and "save_strategy" not in given and given.get("eval_strategy") == "steps":
        rather["save_strategy"] = "steps"
    from madang.cli.training_metrics import FALLING

    if str(given.get("metric_for_best_model", "")).removeprefix("eval_") in FALLING:
        rather["greater_is_better"] = False
    return arguments_of(file, **rather)


def _check_folder(output: Path, arguments: argparse.Namespace, args: Any) -> None:
    """Checkpoints of an earlier run are neither mixed with new ones nor lost unasked."""
    from madang.training.checkpointing import checkpoints, find

    if arguments.resume is not None:
        find(arguments.resume, output)
        return
    found = checkpoints(output)
    free = arguments.overwrite or args.overwrite_output_dir or arguments.dry_run or arguments.to_script
    if found and not free and args.do_train:
        raise InputError(
            f"{output} holds checkpoints of an earlier run, the last at step {found[-1].name.rpartition('-')[2]}. "
            "Go on from it with --resume, begin anew with --overwrite, or choose another folder with --output."
        )


class Work:
    """Everything that a training file leads to: rows, tokenizer, model, trainer."""

    def __init__(self, file: TrainingFile, args: Any) -> None:
        from madang import AutoConfig, Trainer
        from madang.cli.training_data import read_rows
        from madang.cli.training_tasks import KINDS, guess_task

        self.file, self.args = file, args
        named, data = file.section("model"), file.section("data")
        where = {"revision": named["revision"]} if named.get("revision") else {}
        config = AutoConfig.from_pretrained(named["name"], **where)
        self.rows = read_rows(file, seed=args.seed, validation=args.do_eval, test=args.do_predict)
        self.guessed = file.values.get("task") is None
        self.task = KINDS[file.values.get("task") or guess_task(file, self.rows, config)](file, self.rows, config)
        self.tokenizer = self._load_tokenizer(named, where)
        self.length = self._longest(data.get("max_length"), config)
        self.texts = {name: len(part) for name, part in self.rows.parts().items()}
        self.rows.change(self._encoded)
        self.model = self._load_model(named, where)
        if self.rows.validation is None and args.eval_strategy != "no":
            args.eval_strategy = "no"
        self.trainer = Trainer(
            self.model,
            args,
            data_collator=self.task.collator(self.tokenizer, self.model),
            train_dataset=self.rows.train,
            eval_dataset=self.rows.validation,
            processing_class=self.tokenizer,
            compute_metrics=self.task.compute_metrics(),
            preprocess_logits_for_metrics=self.task.keep_of_logits(),
        )

    def _load_tokenizer(self, named: Mapping[str, Any], where: Mapping[str, Any]) -> Any:
        from madang import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(named.get("tokenizer") or named["name"], **where)
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
            self.task.said.append(f"padding: with {tokenizer.pad_token}, as the tokenizer names nothing for it")
        return tokenizer

    def _longest(self, asked: int | None, config: Any) -> int:
        from madang.cli.training_tasks import LONGEST

        places = getattr(config, "max_position_embeddings", None)
        possible = [self.tokenizer.model_max_length, places if isinstance(places, int) and places > 0 else None]
        most = int(min(number for number in possible if number is not None))
        if asked is not None and asked > most:
            raise self.file.wrong("data.max_length", f"is {asked}, but this model takes {most} tokens at most.")
        return asked or min(most, LONGEST)

    def _encoded(self, part: Any) -> Any:
        encode, told = self.task.encode(self.tokenizer, self.length)
        encoded = part.map(encode, batched=True, remove_columns=part.column_names, fn_kwargs=told, desc="tokenizing")
        if len(encoded) == 0:
            raise InputError("no text is left after tokenizing: they are all empty.")
        return encoded

    def _load_model(self, named: Mapping[str, Any], where: Mapping[str, Any]) -> Any:
        import madang

        options: dict[str, Any] = {key: named[key] for key in ("dtype", "attn_implementation") if named.get(key)}
        options |= {**(named.get("config") or {}), **self.task.model_options(), **where}
        from madang import set_seed

        set_seed(self.args.seed)  # a new head is the same in every run
        self.new: list[str] = []
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model = getattr(madang, self.task.head).from_pretrained(named["name"], **options)
        for warning in caught:
            if issubclass(warning.category, madang.auto.LoadingWarning):
                self.new = list(model.loading_report.drawn)
            else:
                warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
        if model.config.pad_token_id is None:
            model.config.pad_token_id = self.tokenizer.pad_token_id
        if named.get("lora") is not None:
            from madang import LoraConfig, get_peft_model

            try:
                adapter = LoraConfig(**{"task_type": self.task.lora, **named["lora"]})
            except ValueError as error:
                raise ConfigError(f"{self.file.where('model.lora')}: {error}") from error
            model = get_peft_model(model, adapter)
        return model

    # telling

    def tell(self, *, resuming: str | bool | None) -> None:
        """What was understood and what will be done."""
        from madang.training.loop import Plan

        model, task, args = self.model, self.task, self.args
        parameters = list(model.parameters())
        count, learning = (
            sum(each.numel() for each in parameters if all_ or each.requires_grad) for all_ in (True, False)
        )
        say("model", f"{self.file.section('model')['name']} ({model.config.model_type}, {_short(count)} parameters)")
        if learning < count:
            say("", f"{_short(learning)} of them learn ({learning / count:.2%})")
        if self.new:
            say("", f"new, to be learned: {', '.join(self.new)}")
        say("task", f"{task.name}{' (guessed)' if self.guessed else ''}{': ' if task.about() else ''}{task.about()}")
        named = {"train": "to learn from", "validation": "held out", "test": "to test with"}
        say("data", f"{self._source()}: {', '.join(f'{n:,} {named[part]}' for part, n in self.texts.items())}")
        for line in [*self.rows.said, *task.said]:
            say("", line)
        say("", self._lengths())
        if args.do_train:
            plan = Plan.of(args, self.trainer.get_train_dataloader())
            epochs = (
                f"{args.num_train_epochs:g} epoch{'s' * (args.num_train_epochs != 1)}, " if args.max_steps <= 0 else ""
            )
            at_once = self.trainer.rows_per_step
            say("training", f"{epochs}{plan.steps:,} steps of {at_once} texts; learning rate {args.learning_rate:g}, "
                f"{args.lr_scheduler_type}; on {self.trainer.device}")  # fmt: skip
        say(
            "metrics",
            ", ".join(task.metrics) if self.rows.validation is not None or self.rows.test is not None else "-",
        )
        say("output", args.output_dir)
        if resuming:
            from madang.training.checkpointing import find

            say("going on", f"from {find(resuming, Path(args.output_dir))}")

    def _source(self) -> str:
        data = self.file.section("data")
        files = data.get("data_files")
        files = files.get("train", files) if isinstance(files, dict) else files
        files = files[0] if isinstance(files, list) and len(files) == 1 else files
        parts = (data["path"], data.get("name"), files if isinstance(files, str) else None, data.get("split"))
        return " ".join(str(part) for part in parts if part)

    def _lengths(self) -> str:
        """How long the texts are, and how many had to be cut."""
        from madang.training.order import text_lengths

        lengths = text_lengths(self.rows.train)
        told = f"texts of {int(lengths.min())} to {int(lengths.max())} tokens, {lengths.mean():.0f} on average"
        if len(self.rows.train) > self.texts["train"]:
            return f"{told}; long ones became {len(self.rows.train):,} pieces"
        full = int((lengths >= self.length).sum())
        return f"{told}; {full:,} reach the limit of {self.length} and may be cut" if full else told

    def tell_first_example(self) -> None:
        """The first row as the model gets it."""
        row = self.rows.train[0]
        ids = list(row["input_ids"])
        tokens = self.tokenizer.convert_ids_to_tokens(ids)
        print("\nThe first row, as the model gets it:")
        say("text", self.tokenizer.decode(ids))
        say("tokens", " ".join(tokens))
        say("ids", " ".join(map(str, ids)))
        say("answer", self.task.answer(row))

    # working

    def train(self, resume: str | bool | None, *, overwrite: bool) -> None:
        """Train, save and tell."""
        trainer, args, output = self.trainer, self.args, Path(self.args.output_dir)
        if args.do_train:
            if trainer.is_world_process_zero():
                _begin(output, self.file, overwrite=overwrite and not resume)
            say("", "")
            trainer.train(resume_from_checkpoint=resume)
            trainer.save_model()
        metrics = self._measure()
        if not trainer.is_world_process_zero():
            return
        output.mkdir(parents=True, exist_ok=True)
        for name, numbers in metrics.items():
            say(name, "  ".join(f"{_spaced(key)} {_number(value)}" for key, value in numbers.items()))
        if not args.do_train:
            return
        trainer.save_state()
        written = self._write_about(output, metrics)
        say("", f"\n{output} holds the model, its tokenizer, {', '.join(written)}.")
        self._tell_use(output)

    def _measure(self) -> dict[str, dict[str, float]]:
        """Loss and metrics of the parts that are held out; the last evaluation counts if it was of these weights."""
        trainer, found = self.trainer, {}
        state = trainer.state
        if self.rows.validation is not None:
            last = next((entry for entry in reversed(state.log_history) if "eval_loss" in entry), None)
            best_differs = self.args.load_best_model_at_end and state.best_global_step != state.global_step
            if last is None or last["step"] != state.global_step or best_differs:
                last = trainer.evaluate()
            found["validation"] = _scores(last, "eval_")
        if self.rows.test is not None:
            found["test"] = _scores(trainer.evaluate(self.rows.test, metric_key_prefix="test"), "test_")
        return found

    def _write_about(self, output: Path, metrics: Mapping[str, Mapping[str, float]]) -> list[str]:
        """metrics.jsonl, curve.png and README.md; returns what was written."""
        from madang.training.card import known_base, model_card, write_card
        from madang.training.curve import draw_curve
        from madang.training.reports import write_metrics

        write_metrics(output / "metrics.jsonl", self.trainer.state.log_history)
        written = ["metrics.jsonl"]
        try:
            if draw_curve(self.trainer.state.log_history, output / "curve.png") is not None:
                written.append("curve.png")
        except InputError as error:  # without matplotlib there is no picture
            say("", f"no curve.png: {error}")
        about = self.file.section("card")
        told = metrics.get("test") or metrics.get("validation") or {}
        card = model_card(
            name=about.get("name") or self.args.hub_model_id or output.resolve().name,
            model=self.model,
            args=self.args,
            state=self.trainer.state,
            metrics=told,
            dataset_name=_public_name(self.file.section("data")),
            base_model=known_base(self.model),
            language=about.get("language"),
            license=about.get("license"),
            tags=about.get("tags") or (),
            curve="curve.png" in written,
        )
        write_card(output, card)
        return ["README.md", *written]

    def _tell_use(self, output: Path) -> None:
        from madang.training.card import TASKS as PIPELINES

        task = PIPELINES[self.model.task][0]
        if self.task.name != "seq2seq":
            say("Use it:", "from madang import pipeline")
            say("", f'pipeline("{task}", model="{output}")')


def _begin(output: Path, file: TrainingFile, *, overwrite: bool) -> None:
    from madang.training.checkpointing import checkpoints
    from madang.writing import write_text

    if overwrite:
        for checkpoint in checkpoints(output):
            shutil.rmtree(checkpoint)
    output.mkdir(parents=True, exist_ok=True)
    write_text(output / "training.yaml", file.to_yaml())


def _to_script(work: Work, path: Path) -> int:
    # a program gets its metrics by import; those that need the names of tags, or each token's loss, it goes without
    work.trainer.compute_metrics, work.trainer.preprocess_logits_for_metrics = work.task.every_metric(), None
    path.parent.mkdir(parents=True, exist_ok=True)
    work.trainer.to_script(path)
    say("", f"\nwrote {path}; nothing was trained")
    return 0


# ---- stopping


@contextmanager
def _one_more_step(trainer: Any) -> Iterator[None]:
    """The first Ctrl-C (or SIGTERM) lets the step end and a checkpoint be saved; the second ends everything at once."""
    if trainer.processes.count > 1:  # the processes would stop at different steps, and wait for each other for ever
        yield
        return
    from madang import TrainerCallback

    asked: list[int] = []

    class Stop(TrainerCallback):  # type: ignore[misc]  # a public name, which is loaded on first use
        """Has a checkpoint written, then interrupts."""

        saved = -1

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if asked and args.save_strategy != "no":
                control.should_save = True

        def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.saved = state.global_step

        def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if asked and (args.save_strategy == "no" or self.saved == state.global_step):
                raise KeyboardInterrupt(asked[0])

        # what there is to do at the end of an epoch is done when training goes on
        on_epoch_end = on_step_begin

    def ask(number: int, _: FrameType | None) -> None:
        if asked:
            raise KeyboardInterrupt(number)
        asked.append(number)
        print("\nstopping after this step or evaluation (once more: at once)", file=sys.stderr)

    known = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, ask) for number in known}
    # before the one that follows the strategies: what it would do at the end of an epoch is not to be begun
    trainer.callbacks.list.insert(0, stop := Stop())
    try:
        yield
    finally:
        trainer.callbacks.list.remove(stop)
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupted(work: Work, path: Path, arguments: argparse.Namespace, interrupt: KeyboardInterrupt) -> int:
    from madang.training.checkpointing import checkpoints

    number = interrupt.args[0] if interrupt.args else signal.SIGINT
    kept = checkpoints(Path(work.args.output_dir))
    print(f"\nmadang: stopped after step {work.trainer.state.global_step}.", file=sys.stderr, end=" ")
    if kept and work.args.save_only_model is False:
        again = ["madang train", str(path), *(f"--set {change}" for change in arguments.set)]
        again += [f"--output {arguments.output}"] if arguments.output else []
        print(f"{kept[-1]} is kept; to go on:\n  {' '.join(again)} --resume", file=sys.stderr)
    else:
        print("No checkpoint was written, so there is nothing to go on from.", file=sys.stderr)
    return 128 + int(number)


# ---- words


def say(label: str, told: str) -> None:
    """A line on the terminal: what it is about, and the words, which go on below themselves. Only the first process."""
    if os.environ.get("RANK", "0") != "0":
        return
    if told.startswith("\n") or "\n" in told or not told:
        print(told)
        return
    width = max(40, terminal_width())
    lines = _wrapped(printable(told), width - LABEL)
    if label in ("ids", "tokens", "text", "answer") and len(lines) > 3:
        lines = [*lines[:2], cut(" ".join(lines[2:]), width - LABEL)]
    for place, line in enumerate(lines):
        print(f"{padded(label if place == 0 else '', LABEL)}{line}")
    sys.stdout.flush()


def _wrapped(text: str, width: int) -> list[str]:
    """Lines of at most `width` places, also with letters that take two."""
    from madang.cli.tables import width_of

    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".lstrip()
        if width_of(longer) <= width or not lines[-1]:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _scores(metrics: Mapping[str, Any], prefix: str) -> dict[str, float]:
    from madang.training.card import scores_of

    scores = scores_of({name: value for name, value in metrics.items() if name.startswith(prefix)})
    return {"loss": scores.pop("loss"), **scores} if "loss" in scores else scores


def _number(value: float) -> str:
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e6 else f"{value:.3g}"


def _spaced(name: str) -> str:
    return name.replace("_", " ")


def _short(count: int) -> str:
    """22_713_216 as 22.7 M."""
    for size, unit in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return str(count)


def _public_name(data: Mapping[str, Any]) -> str:
    """What the card calls the data: a repository by its name, a file of this machine without its folders."""
    files = data.get("data_files")
    files = next(iter(files.values()), None) if isinstance(files, Mapping) else files
    path = str(files[0] if isinstance(files, list) and files else files or data["path"])
    found = Path(path).expanduser()
    return f"the {'folder' if found.is_dir() else 'file'} {found.name}" if found.exists() else path
