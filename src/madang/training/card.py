"""The card (README.md) of a model that was trained: what it is, how good it is, how it came about, how to use it.

Names in it come from data, configs and users: they are written as text, never as markup.
"""

import json
import math
import os
import platform
import re
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from madang.client.names import is_repository_name
from madang.writing import write_text

BEGIN, END = "<!-- madang: training, begin. Text between these lines is replaced. -->", "<!-- madang: training, end -->"

# a head's task -> what hubs call it, and the class that loads such a model
TASKS = {
    "sequence-classification": ("text-classification", "AutoModelForSequenceClassification"),
    "token-classification": ("token-classification", "AutoModelForTokenClassification"),
    "question-answering": ("question-answering", "AutoModelForQuestionAnswering"),
    "multiple-choice": ("multiple-choice", "AutoModelForMultipleChoice"),
    "masked-language": ("fill-mask", "AutoModelForMaskedLM"),
    "causal-language": ("text-generation", "AutoModelForCausalLM"),
    "sequence-to-sequence-language": ("text2text-generation", "AutoModelForSeq2SeqLM"),
    "image-classification": ("image-classification", "AutoModelForImageClassification"),
}
# what to ask a pipeline, in English and in Korean
_EXAMPLES = {
    "text-classification": ('print(pipe("What a lovely day."))', 'print(pipe("오늘은 정말 즐거웠어요."))'),
    "token-classification": (
        'print(pipe("Ada Lovelace lived in London."))',
        'print(pipe("세종대왕은 한글을 만들었다."))',
    ),
    "question-answering": (
        'print(pipe(question="Who lived in London?", context="Ada Lovelace lived in London."))',
        'print(pipe(question="누가 한글을 만들었나?", context="세종대왕은 한글을 만들었다."))',
    ),
    "fill-mask": (
        'print(pipe(f"London is a {pipe.tokenizer.mask_token}."))',
        'print(pipe(f"한글은 {pipe.tokenizer.mask_token}이다."))',
    ),
    "text-generation": (
        'print(pipe("Once upon a time", max_new_tokens=40))',
        'print(pipe("옛날 옛적에", max_new_tokens=40))',
    ),
}
_TOLD = (
    "learning_rate", "per_device_train_batch_size", "gradient_accumulation_steps", "num_train_epochs", "max_steps",
    "optim", "adam_beta1", "adam_beta2", "adam_epsilon", "weight_decay", "max_grad_norm", "lr_scheduler_type",
    "warmup_ratio", "warmup_steps", "label_smoothing_factor", "neftune_noise_alpha", "bf16", "fp16", "seed",
)  # fmt: skip
_TIMES = ("_runtime", "_samples_per_second", "_steps_per_second", "_jit_compilation_time")
_ROWS = 30


def model_card(
    *,
    name: str,
    model: Any,
    args: Any,
    state: Any,
    metrics: Mapping[str, Any],
    dataset_name: str | Iterable[str] | None = None,
    base_model: str | None = None,
    language: str | Iterable[str] | None = None,
    license: str | None = None,  # noqa: A002  the key's name in every card
    tags: str | Iterable[str] = (),
    curve: bool = False,
) -> str:
    """The text of a README.md.

    `name`: the model's repository or a title. `metrics`: of its last evaluation (`eval_…`). `base_model`: where it was
    fine-tuned from; known from the model when that was loaded from a repository. `curve`: a `curve.png` lies beside it.
    Arguments are shown as far as they made the weights what they are: neither paths nor secrets.
    """
    task, auto_class = TASKS.get(str(getattr(model, "task", None)), (None, "AutoModel"))
    base_model = base_model or known_base(model)
    datasets = _listed(dataset_name)
    scores = scores_of(metrics)
    header = _header(
        name, task, base_model, datasets, scores, language=_listed(language), license=license, tags=_listed(tags)
    )
    sections = [
        _about(model, task, base_model, datasets),
        _results(scores),
        _training(args, state),
        _log(state.log_history, curve=curve),
        _versions(),
        _use(name, task, auto_class, korean="ko" in _listed(language)),
    ]
    block = "\n\n".join(section for section in sections if section)
    return f"---\n{_yaml(header)}---\n\n# {_text(name)}\n\n{BEGIN}\n\n{block}\n\n{END}\n"


def write_card(folder: str | os.PathLike[str], card: str) -> None:
    """Put a card that `model_card` made into `folder`, as README.md.

    Of a README.md that is there, everything stays but the part between our two marks, which is replaced, or added at
    the end. In its YAML header what it lacks is added; our own `model-index` is brought up to date.
    """
    path = Path(folder) / "README.md"
    there = path.read_text(encoding="utf-8") if path.exists() else ""
    write_text(path, refreshed(there, card) if there.strip() else card)


def refreshed(there: str, card: str) -> str:
    """The text of a card that is there, with what changed in the part that is ours."""
    new_header, new_body = _split(card)
    header, body = _split(there)
    block = new_body[new_body.index(BEGIN) : new_body.index(END) + len(END)]
    before, begin, rest = body.partition(BEGIN)
    _, end, after = rest.partition(END)
    ours = bool(begin and end)
    body = f"{before}{block}{after}" if ours else f"{body.rstrip()}\n\n{block}\n"
    return _merged(header, new_header, ours=ours) + body


def known_base(model: Any) -> str | None:
    """The repository that a model was loaded from; None for a folder of this machine, which nobody else knows."""
    config = getattr(model, "config", None)
    for source in (getattr(model, "name_or_path", None), getattr(config, "_name_or_path", None)):
        if is_repository_name(source) and not Path(str(source)).exists():
            return str(source)
    return None


def scores_of(metrics: Mapping[str, Any]) -> dict[str, float]:
    """The finite numbers of an evaluation without their `eval_`: no epoch, no times."""
    found = {}
    for name, value in metrics.items():
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
        if is_number and name != "epoch" and not name.endswith(_TIMES):
            found[re.sub(r"^(eval|test)_", "", str(name))] = value
    return found


# ---- the header


def _header(
    name: str,
    task: str | None,
    base_model: str | None,
    datasets: list[str],
    scores: dict[str, float],
    *,
    language: list[str],
    license: str | None,  # noqa: A002
    tags: list[str],
) -> dict[str, Any]:
    """What hubs read: they search by it and choose the widget to try a model with."""
    public = [dataset for dataset in datasets if is_repository_name(dataset) and not Path(dataset).exists()]
    rated = [score for score in scores if score != "loss" and not score.endswith("_loss")]
    header: dict[str, Any] = {
        "language": language[0] if len(language) == 1 else language,
        "license": license,
        "library_name": "transformers",  # hubs show their widgets by it; the files are those it reads
        "pipeline_tag": task,
        "base_model": base_model if is_repository_name(base_model) else None,
        "datasets": public,
        "metrics": rated,
        "tags": list(dict.fromkeys(["madang", "generated_from_trainer", *tags])),
    }
    header = {key: value for key, value in header.items() if value}
    if task is not None and scores:
        dataset = {"type": public[0] if public else "unknown", "name": datasets[0] if datasets else "not named"}
        values = [
            {"type": score, "value": round(value, 6), "name": score.replace("_", " ").capitalize()}
            for score, value in scores.items()
        ]
        result = {"task": {"type": task, "name": task.replace("-", " ").capitalize()}, "dataset": dataset}
        header["model-index"] = [{"name": name, "results": [{**result, "metrics": values}]}]
    return header


def _yaml(values: Mapping[str, Any]) -> str:
    import yaml

    # a line break in a name could look like the end of the header
    plain = _on_one_line(dict(values))
    return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=10_000) if values else ""


def _on_one_line(value: Any) -> Any:
    if isinstance(value, dict):
        return {_on_one_line(key): _on_one_line(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_on_one_line(inner) for inner in value]
    return " ".join(value.split()) if isinstance(value, str) else value


def _split(card: str) -> tuple[str, str]:
    """The YAML between the first two lines of `---`, as it is, and the rest."""
    match = re.match(r"\A\ufeff?---[ \t]*\r?\n(.*?)^---[ \t]*(?:\r?\n|\Z)", card, re.DOTALL | re.MULTILINE)
    return ("", card) if match is None else (match[1], card[match.end() :])


def _merged(header: str, new: str, *, ours: bool) -> str:
    """A header, as it was written, with what it lacks. One that is no mapping is left as it is."""
    import yaml

    if ours:
        header = re.sub(r"^model-index:.*\n(?:[ \-].*\n|\n)*", "", header, flags=re.MULTILINE)
    try:
        known = yaml.safe_load(header) or {}
    except yaml.YAMLError:
        known = None
    if isinstance(known, dict):
        header += _yaml({key: value for key, value in yaml.safe_load(new).items() if key not in known})
    return f"---\n{header}---\n"


# ---- the text


def _about(model: Any, task: str | None, base_model: str | None, datasets: list[str]) -> str:
    what = f"`{type(model).__name__}`" + (f" for {task.replace('-', ' ')}" if task else "")
    origin = f"fine-tuned from {_text(base_model)}" if base_model else "trained"
    data = f" on {', '.join(map(_text, datasets))}" if datasets else ""
    labels = [str(label) for label in (getattr(getattr(model, "config", None), "id2label", None) or {}).values()]
    said = f"This model is a {what}, {origin}{data} with Madang."
    if task in ("text-classification", "token-classification", "image-classification") and labels:
        more = f" and {len(labels) - 30} more" if len(labels) > 30 else ""
        said += f"\n\nIts labels: {', '.join(map(_text, labels[:30]))}{more}."
    return said


def _results(scores: dict[str, float]) -> str:
    if not scores:
        return ""
    rows = [[name.replace("_", " "), _number(value)] for name, value in scores.items()]
    return "## Results\n\nOn the evaluation data:\n\n" + _table(["metric", "value"], rows)


def _training(args: Any, state: Any) -> str:
    rows = []
    for name in _TOLD:
        value = getattr(args, name, None)
        off = value is None or value is False or (name == "max_steps" and value <= 0)
        off |= name in ("label_smoothing_factor", "warmup_ratio", "warmup_steps") and not value
        if not off:
            rows.append([f"`{name}`", _text(f"{value:g}" if isinstance(value, float) else value)])
    done = f"{state.global_step} optimizer steps, {state.epoch:.4g} epochs."
    return f"## Training\n\n{done}\n\n" + _table(["argument", "value"], rows, escaped=True)


def _log(log_history: Iterable[Mapping[str, Any]], *, curve: bool) -> str:
    """The picture, and a row for every evaluation, or for every log when nothing was evaluated."""
    picture = "![Loss and metrics per optimizer step](curve.png)" if curve else ""
    rows = log_rows(log_history)
    if len(rows) > _ROWS:  # the first, the last, and some between
        rows = [rows[round(i * (len(rows) - 1) / (_ROWS - 1))] for i in range(_ROWS)]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    table = _table(columns, [[row.get(name, "") for name in columns] for row in rows]) if rows else ""
    return "\n\n".join(part for part in (picture, table) if part)


def log_rows(log_history: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """What was logged as rows of a table: epoch, step, training loss, validation loss, metrics.

    A row for every step that was evaluated, or for every log when none was. The training loss is the mean since the row
    before; of a step that was evaluated again, after training, the first evaluation counts.
    """
    history = list(log_history)
    evaluated = any(name.startswith("eval_") for entry in history for name in entry)
    rows: dict[int, dict[str, str]] = {}
    losses: list[tuple[float, int]] = []  # since the last row: a loss, and the steps it is the mean of
    logged = 0
    for entry in history:
        step = int(entry.get("step", 0))
        if "loss" in entry:
            losses.append((entry["loss"], step - logged))
            logged = step
        told = scores_of({name: value for name, value in entry.items() if name.startswith("eval_")})
        if not told and (evaluated or "loss" not in entry):
            continue
        row = rows.get(step)
        if row is None:
            steps = sum(count for _, count in losses)
            mean = _number(sum(loss * count for loss, count in losses) / steps) if steps else "not logged"
            row = rows[step] = {"epoch": f"{entry.get('epoch', 0.0):.4g}", "step": str(step), "training loss": mean}
            losses = []
        for name in sorted(told, key=lambda name: not name.endswith("loss")):
            row.setdefault("validation loss" if name == "loss" else name.replace("_", " "), _number(told[name]))
    return list(rows.values())


def _versions() -> str:
    known = [f"Python {platform.python_version()}"]
    for package, title in (("madang", "Madang"), ("torch", "PyTorch"), ("tokenizers", "Tokenizers")):
        try:
            known.append(f"{title} {version(package)}")
        except PackageNotFoundError:  # Madang used from its source folder
            continue
    return "## Versions\n\n" + "\n".join(f"- {line}" for line in known)


def _use(name: str, task: str | None, auto_class: str, *, korean: bool) -> str:
    # JSON's way to write a text is Python's too; a `<` could begin one of our marks
    place = json.dumps(name, ensure_ascii=False).replace("<", r"\u003c")
    if task in _EXAMPLES:
        asked = _EXAMPLES[task][korean]
        code = f'from madang import pipeline\n\npipe = pipeline("{task}", model={place})\n{asked}'
    else:
        code = f"from madang import {auto_class}\n\nmodel = {auto_class}.from_pretrained({place})"
    in_korean = (
        "마당(Madang)으로 학습한 모델입니다. `pip install 'madang[torch]'`로 설치한 뒤 위의 코드를 그대로 "
        "실행하면 됩니다. 허깅페이스 형식의 파일이므로 `transformers`로도 불러올 수 있습니다. 쓰임새에 "
        "맞는지 여러분의 데이터로 먼저 확인해 주세요."
    )
    return f"## Use\n\n```python\n{code}\n```\n\n{in_korean}"


# ---- markdown


def _table(heading: list[str], rows: list[list[str]], *, escaped: bool = False) -> str:
    """A table; `escaped` cells are markdown already."""
    cells = rows if escaped else [[_text(cell) for cell in row] for row in rows]
    lines = [[_text(cell) for cell in heading], ["---"] * len(heading), *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _text(value: Any) -> str:
    """Anything as text on one line that markdown and HTML show as it is."""
    plain = " ".join(str(value).split())
    plain = plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]{}()#|~!$])", r"\\\1", plain)


def _number(value: float) -> str:
    if isinstance(value, int):
        return str(value)
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e6 else f"{value:.3g}"


def _listed(given: str | Iterable[str] | None) -> list[str]:
    return [given] if isinstance(given, str) else [str(one) for one in given or ()]
