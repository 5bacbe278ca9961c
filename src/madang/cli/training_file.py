"""The YAML file that `madang train` reads: what may stand in it, and what it says.

It is data: nothing in it is run. `true` and `false` are truth values, and so are yes, no, on and off where nothing else
can be meant; `3e-5` is a number.
"""

import dataclasses
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from madang.errors import ConfigError, MissingFileError, UnknownNameError, nearest

TASKS = ("text-classification", "token-classification", "causal-lm", "masked-lm", "seq2seq")
# section -> its keys; "" is the file itself. What `training`, `lora` and `config` may hold, their own classes know.
KEYS = {
    "": ("model", "task", "data", "training", "metrics", "seed", "card"),
    "model": ("name", "revision", "tokenizer", "dtype", "attn_implementation", "config", "lora"),
    "data": (
        "path", "name", "split", "data_files", "data_dir", "revision", "options",
        "text", "label", "validation", "test", "max_length", "limit",
    ),
    "card": ("name", "language", "license", "tags"),
}  # fmt: skip
FREE = {"training", "model.lora", "model.config", "data.options"}
YES, NO = ("yes", "on", "true"), ("no", "off", "false")

EXAMPLE = """\
# madang train train.yaml
# Only `model` and `data` are needed; a line that begins with # shows what else there is.

model: klue/roberta-base          # a repository on a hub, or a folder
# model:
#   name: klue/roberta-base
#   dtype: float32                # of the weights; as in the file when not given
#   config: {hidden_dropout_prob: 0.0}      # keys of its config.json
#   lora: {r: 8, lora_alpha: 16}  # learn small matrices, leave the model as it is

# text-classification, token-classification, causal-lm, masked-lm or seq2seq; found from the data when not given
# task: text-classification

data:
  path: news.csv                  # a file, a folder, a repository on a hub, or csv, json, … with data_files
  # name: ynat                    # the subset of a repository
  # data_files: {train: a.csv, validation: b.csv}
  # options: {delimiter: ";"}     # for whatever reads the files
  # split: train
  # text: title                   # the column with the text; two for pairs: [premise, hypothesis]
  # label: topic                  # the column with the answer: names or numbers of classes, or numbers to predict
  # validation: 0.1               # a part of the rows, a number of rows, a split, a file, or no
  # test: test.csv                # a split or a file; looked at once, at the end
  # max_length: 128               # longer texts are cut, in tokens
  # limit: 2000                   # no more rows than these, drawn at random: for a first try

training:                         # any of the TrainingArguments
  output_dir: outputs/news
  num_train_epochs: 3
  per_device_train_batch_size: 16
  learning_rate: 5e-5
  warmup_ratio: 0.1

# metrics: [accuracy, macro_f1]
# seed: 42
# card: {language: ko, license: mit}
"""


class _Yaml(yaml.SafeLoader):
    """Plain values only. YAML 1.1 takes `no` for false and `3e-5` for text; both surprise here."""


_Yaml.yaml_implicit_resolvers = {
    letter: [(tag, form) for tag, form in forms if not tag.endswith((":bool", ":timestamp"))]
    for letter, forms in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Yaml.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^([Tt]rue|TRUE|[Ff]alse|FALSE)$"), list("tTfF"))
_Yaml.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+$"),
    list("-+.0123456789"),
)


@dataclass
class TrainingFile:
    """What the file says, with `--set` over it. `model` and `data` are always mappings here."""

    path: Path
    values: dict[str, Any]
    lines: dict[str, int]

    def section(self, name: str) -> dict[str, Any]:
        """A section, {} when the file has none."""
        found: dict[str, Any] = self.values.get(name) or {}
        return found

    def wrong(self, key: str, said: str) -> ConfigError:
        """The error for a value: `said` goes on after the key, "training.seed"."""
        return ConfigError(f"{self.where(key)}: {key} {said}")

    def where(self, key: str) -> str:
        """The file's name, and the line of a key where it has one."""
        line = self.lines.get(key)
        return f"{self.path}, line {line}" if line else str(self.path)

    def to_yaml(self) -> str:
        """What was trained with, for a file beside the model; secrets are left out."""
        training = {name: value for name, value in self.section("training").items() if "token" not in name}
        return yaml.safe_dump({**self.values, "training": training}, sort_keys=False, allow_unicode=True)


def read_training_file(path: Path, changes: Iterable[str] = ()) -> TrainingFile:
    """Read and check the file; `changes` are "training.seed=1", values as YAML writes them.

    Raises ConfigError for what is no YAML or has the wrong kind, UnknownNameError for keys nobody knows.
    """
    if not path.is_file():
        raise MissingFileError(
            f"there is no file {str(path)!r}. `madang train --example > {path}` makes one to begin with."
        )
    values, lines = _parse(path, path.read_text(encoding="utf-8-sig"))
    file = TrainingFile(path, _whole(values), lines)
    for change in changes:
        _set(file, change)
    _check_keys(file, "", file.values)
    _check_values(file)
    return file


def arguments_of(file: TrainingFile, **defaults: Any) -> Any:
    """The section `training` as TrainingArguments; `defaults` count where it says nothing."""
    from madang.errors import MadangError
    from madang.training import TrainingArguments

    given = dict(file.section("training"))
    if "seed" in file.values and given.setdefault("seed", file.values["seed"]) != file.values["seed"]:
        raise file.wrong(
            "training.seed", f"is {given['seed']}, but the file's seed is {file.values['seed']}: leave one."
        )
    kinds = {field.name: field.type for field in dataclasses.fields(TrainingArguments)}
    for name, value in given.items():
        if kinds.get(name) in (bool, bool | None):
            given[name] = _truth(file, f"training.{name}", value)
        elif isinstance(value, bool) and name.endswith("_strategy") and not value:
            given[name] = "no"
    try:
        return TrainingArguments(**{**defaults, **given})
    except (MadangError, TypeError) as error:
        # the name it complains of is one of those given
        named = next((name for name in given if re.search(rf"\b{re.escape(str(name))}\b", str(error))), "")
        kind = type(error) if isinstance(error, MadangError) else ConfigError
        said = str(error).partition(" Known: ")[0] if "Did you mean" in str(error) else error
        raise kind(f"{file.where(f'training.{named}')}: {said}") from error


def _truth(file: TrainingFile, key: str, value: Any) -> Any:
    if str(value).lower() in YES or str(value).lower() in NO:
        return str(value).lower() in YES
    if value is None:
        return None
    raise file.wrong(key, f"is yes or no (true or false), not {value!r}.")


def _parse(path: Path, text: str) -> tuple[Any, dict[str, int]]:
    """The values and the line of each key; a key that is there twice is an error."""
    loader = _Yaml(text)
    try:
        node = loader.get_single_node()
        lines = dict(_lines(path, node, ""))
        values = None if node is None else loader.construct_document(node)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark is not None else ""
        raise ConfigError(f"{path}{line} is no YAML: {getattr(error, 'problem', None) or error}.") from error
    finally:
        loader.dispose()
    if not isinstance(values, dict):
        raise ConfigError(
            f"{path} should say `model: …` and `data: …`. `madang train --example` prints a file to begin with."
        )
    return values, lines


def _lines(path: Path, node: Any, above: str) -> Iterable[tuple[str, int]]:
    if not isinstance(node, yaml.MappingNode) or above.count(".") > 3:
        return
    seen: dict[str, int] = {}
    for key, value in node.value:
        name, line = f"{above}{key.value}", key.start_mark.line + 1
        if name in seen:
            raise ConfigError(f"{path}, line {line}: {name} is there twice, first in line {seen[name]}.")
        seen[name] = line
        yield name, line
        yield from _lines(path, value, f"{name}.")


def _whole(values: dict[str, Any]) -> dict[str, Any]:
    """`model: name` and `data: path` are short for mappings."""
    for section, key in (("model", "name"), ("data", "path")):
        if isinstance(values.get(section), str):
            values[section] = {key: values[section]}
    return values


def _set(file: TrainingFile, change: str) -> None:
    key, equals, text = change.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"--set {change}: expected KEY=VALUE, such as training.learning_rate=3e-5.")
    try:
        value = yaml.load(text, Loader=_Yaml)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {change}: the value is no YAML.") from error
    *sections, last = key.strip().split(".")
    place = file.values
    for section in sections:
        if not isinstance(place.get(section), dict):
            place[section] = {}
        place = place[section]
    short = {"model": "name", "data": "path"}.get(last) if not sections else None
    if short and isinstance(value, str):  # the rest of the section stays
        place, last = file.values.setdefault(last, {}), short
    place[last] = value
    file.lines.pop(key.strip(), None)


def _check_keys(file: TrainingFile, section: str, values: dict[str, Any]) -> None:
    for name, value in values.items():
        key = f"{section}.{name}".removeprefix(".")
        if name not in KEYS[section]:
            raise _unknown(file, section, str(name))
        if (key in KEYS or key in FREE) and not isinstance(value, dict | None):
            raise file.wrong(key, f"is a section, lines such as `name: value`, not {value!r}.")
        if key in KEYS and value is not None:
            _check_keys(file, key, value)
    for name in ("model", "data"):
        if not section and not values.get(name):
            raise ConfigError(f"{file.path} says no {name}. `madang train --example` prints a file to begin with.")


def _unknown(file: TrainingFile, section: str, name: str) -> UnknownNameError:
    key = f"{section}.{name}".removeprefix(".")
    elsewhere = [other for other, keys in KEYS.items() if other and name in keys]
    help_ = f" It belongs under {elsewhere[0]}:." if elsewhere else nearest(name, KEYS[section])
    if not section and not elsewhere and name.endswith(("_dir", "_rate", "_size", "_epochs", "_steps", "_strategy")):
        help_ = " It belongs under training:."
    place = f"in {section}" if section else "here"
    return UnknownNameError(
        f"{file.where(key)}: unknown key {name!r}.{help_} Known {place}: {', '.join(KEYS[section])}."
    )


def _check_values(file: TrainingFile) -> None:
    """Kinds of values that would only be noticed late."""
    model, data = file.section("model"), file.section("data")
    if not isinstance(model.get("name"), str):
        raise file.wrong("model.name", "should name a folder or a repository (owner/name).")
    if not isinstance(data.get("path"), str):
        raise file.wrong(
            "data.path", "should name a file, a folder, a repository, or a format together with data_files."
        )
    task = file.values.get("task")
    if task is not None and task not in TASKS:
        raise UnknownNameError(
            f"{file.where('task')}: unknown task {task!r}.{nearest(str(task), TASKS)} Known: {', '.join(TASKS)}."
        )
    for key in ("max_length", "limit"):
        value = data.get(key)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
            raise file.wrong(f"data.{key}", f"is a whole number above 0, not {value!r}.")
    for key in ("text", "label"):
        names = data.get(key)
        listed = [names] if isinstance(names, str) else names
        if names is not None and not (
            listed and isinstance(listed, list) and all(isinstance(one, str) for one in listed)
        ):
            raise file.wrong(f"data.{key}", f"is the name of a column, not {names!r}.")
    if isinstance(data.get("label"), list):
        raise file.wrong("data.label", "is one column.")
    held = data.get("validation")
    if isinstance(held, str) and held.lower() in NO:
        data["validation"] = held = False
    if held is True or (
        isinstance(held, (int, float)) and not isinstance(held, bool) and (held < 0 or (held > 1 and held != int(held)))
    ):
        raise file.wrong("data.validation", "is a part (0.1), a number of rows, a split, a file, or no.")
    metrics = file.values.get("metrics")
    if isinstance(metrics, str):
        file.values["metrics"] = [metrics]
    elif metrics is not None and not (isinstance(metrics, list) and all(isinstance(one, str) for one in metrics)):
        raise file.wrong("metrics", f"is a list of names, not {metrics!r}.")
    seed = file.values.get("seed", 0)
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise file.wrong("seed", f"is a whole number, not {seed!r}.")
