"""What a reference package says, in its own interpreter, for all cases at once.

python reference.py make FOLDER     random models with inputs and the package's outputs, one folder per case
python reference.py check FOLDER    opens the models in the folders below FOLDER and writes outputs beside them
"""

import inspect
import json
import re
import sys
import warnings
import zlib
from pathlib import Path
from types import SimpleNamespace

import torch
from safetensors.torch import load_file, save_file

INPUTS, OUTPUTS, GENERATED, SPEC, SAID = (
    "inputs.safetensors",
    "outputs.safetensors",
    "generated.safetensors",
    "case.json",
    "said.json",
)
CASES, KEYS, READ = "cases.json", "config-keys.json", "config-keys-read.json"
LENGTHS = (7, 5, 2)  # tokens of the texts of a batch
DTYPES = {name: getattr(torch, name) for name in ("float32", "float16", "bfloat16")}


def main():
    """Run the named direction."""
    import transformers

    transformers.logging.set_verbosity_error()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    direction, folder = sys.argv[1:]
    {"make": make_all, "check": check_all}[direction](Path(folder), transformers)


# making --------------------------------------------------------------------------------------------------------------


def make_all(folder, transformers):
    """Every case this version has; what goes wrong is written instead of the model. Also all keys of its configs."""
    told = json.loads((folder / CASES).read_text(encoding="utf-8"))
    keys = {name: transformers.AutoConfig.for_model(name).to_dict() for name in told["heads"]}
    read = {name: keys_read(classes.values(), transformers) for name, classes in told["heads"].items()}
    (folder / KEYS).write_text(json.dumps(keys), encoding="utf-8")
    (folder / READ).write_text(json.dumps(read), encoding="utf-8")
    for case in (SimpleNamespace(**values) for values in told["cases"]):
        if transformers.__version__ not in case.versions:
            continue
        place = folder / case.folder
        place.mkdir(parents=True)
        try:
            make(case, place, transformers)
        except Exception as error:
            (place / SAID).write_text(json.dumps({"error": f"{type(error).__name__}: {error}"}), encoding="utf-8")


def keys_read(classes, transformers):
    """Names that the source of the compared classes reads off its config, also those that configs lack by default."""
    modules = {inspect.getmodule(getattr(transformers, name, None)) for name in classes} - {None}
    source = "".join(map(inspect.getsource, modules))
    direct, asked = re.findall(r"\bconfig\.(\w+)", source), re.findall(r'getattr\((?:self\.)?config, "(\w+)"', source)
    return sorted({*direct, *asked})


def make(case, place, transformers):
    """One random model in `place`, with inputs and outputs of all its batches."""
    torch.manual_seed(seed(case.name))
    config = transformers.AutoConfig.for_model(case.model_type, **case.config)
    config._attn_implementation = "eager"
    model = getattr(transformers, case.class_name)(config).eval()
    fill(model)
    model.to(DTYPES[case.dtype]).save_pretrained(place)
    if case.dtype != "float32":
        # opened again, since loading keeps some parts in float32 that `to` does not
        model = type(model).from_pretrained(place, attn_implementation="eager", torch_dtype="auto").eval()
    (place / SPEC).write_text(json.dumps({"class": case.class_name, "versions": case.versions}), encoding="utf-8")
    inputs = {batch: draw(batch, case, config) for batch in case.batches}
    save_file(flat(inputs), place / INPUTS)
    save_file(flat({batch: run(model, given) for batch, given in inputs.items()}), place / OUTPUTS)
    if case.generates:
        texts = {batch: given for batch, given in inputs.items() if continues(batch, config)}
        save_file(flat({batch: generate(model, given) for batch, given in texts.items()}), place / GENERATED)


def fill(model):
    """Random numbers everywhere, biases and norms too: a zero would hide that a tensor is not used."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            scales = parameter.ndim == 1 and name.endswith("weight")
            parameter.normal_(1.0 if scales else 0.0, 0.2)


def seed(name):
    """A number that stands for `name` in every run."""
    return zlib.crc32(name.encode())


# inputs --------------------------------------------------------------------------------------------------------------


def draw(batch, case, config):
    """The inputs called `batch` for one case, labels included."""
    torch.manual_seed(seed(f"{case.name} {batch}"))
    if case.model_type == "vit":
        return images(batch, case, config)
    given = texts(batch, case, config)
    if case.task == "multiple-choice":
        given = {name: torch.stack((value, value.flip(0))) for name, value in given.items()}
    given.update(labels(batch, case, config, given))
    return {name: value for name, value in given.items() if value is not None}


def texts(batch, case, config):
    """Ids with a mask: of one length, padded on the right or on the left, or longer than the model was trained for."""
    width = 33 if batch == "long" else 15 if "long texts" in case.name else LENGTHS[0]
    padding = config.pad_token_id if config.pad_token_id is not None else 0
    # 4 and up: no special token of any family
    ids = torch.randint(4, config.vocab_size, (len(LENGTHS), width))
    if config.is_encoder_decoder:
        ids[:, -1] = config.eos_token_id
    given = {"input_ids": ids}
    if batch in ("right", "left"):
        mask = torch.tensor([[int(column < length) for column in range(width)] for length in LENGTHS])
        if config.is_encoder_decoder:
            for row, length in enumerate(LENGTHS):
                ids[row, length - 1] = config.eos_token_id
        ids.masked_fill_(mask == 0, padding)
        if batch == "left":
            for row in range(len(LENGTHS)):
                shift = width - LENGTHS[row]
                ids[row], mask[row] = ids[row].roll(shift), mask[row].roll(shift)
        given["attention_mask"] = mask
    types = getattr(config, "type_vocab_size", 0)
    if types > 1:
        given["token_type_ids"] = torch.randint(0, types, ids.shape)
    if config.is_encoder_decoder and case.task in ("body",):
        given["decoder_input_ids"] = torch.randint(4, config.vocab_size, (len(LENGTHS), 6))
        if batch == "right":
            given["decoder_attention_mask"] = torch.tensor([[1] * 6, [1] * 4 + [0] * 2, [1] * 3 + [0] * 3])
    return given


def labels(batch, case, config, given):
    """Labels of the kind that the head wants."""
    ids = given["input_ids"]
    mask = given.get("attention_mask", torch.ones_like(ids))
    count = len(ids)
    if case.task in ("masked-language", "token-classification"):
        classes = config.vocab_size if case.task == "masked-language" else config.num_labels
        targets = torch.randint(0, classes, ids.shape)
        targets[:, 1] = -100
        return {"labels": targets.masked_fill(mask == 0, -100)}
    if case.task == "causal-language":
        targets = ids.masked_fill(mask == 0, -100)
        # the first token of a text follows nothing, wherever the text begins
        targets[torch.arange(count), mask.argmax(1)] = -100
        return {"labels": targets}
    if case.task == "sequence-to-sequence-language":
        targets = torch.randint(4, config.vocab_size, (count, 6))
        if batch == "right":
            targets[1, 4:] = -100
        return {"labels": targets}
    if case.task == "question-answering" and batch == "full":
        # 30: beyond the text, no target
        return {"start_positions": torch.tensor([1, 30, 3]), "end_positions": torch.tensor([2, 30, 5])}
    if case.task == "multiple-choice":
        return {"labels": torch.tensor([1, 2])}
    if case.task == "sequence-classification":
        if config.num_labels == 1:
            return {"labels": torch.randn(count)}
        if config.problem_type == "regression":
            return {"labels": torch.randn(count, config.num_labels)}
        if config.problem_type == "multi_label_classification":
            return {"labels": torch.randint(0, 2, (count, config.num_labels)).float()}
        return {"labels": torch.randint(0, config.num_labels, (count,))}
    return {}


def images(batch, case, config):
    """Pixels of the model's own size, or larger ones with interpolated positions."""
    size = config.image_size if isinstance(config.image_size, (list, tuple)) else (config.image_size, config.image_size)
    patch = (
        config.patch_size if isinstance(config.patch_size, (list, tuple)) else (config.patch_size, config.patch_size)
    )
    if batch == "large":
        size = (size[0] + 2 * patch[0], size[1] + patch[1])
    given = {"pixel_values": torch.randn(2, config.num_channels, *size)}
    if batch == "large":
        given["interpolate_pos_encoding"] = torch.tensor(True)
    if case.task == "image-classification":
        given["labels"] = torch.tensor([3, 1])
    return given


# outputs -------------------------------------------------------------------------------------------------------------


def run(model, given):
    """All outputs of one batch by name; those that are tuples get a number."""
    given = typed(given, model.dtype)
    with torch.no_grad():
        output = model(**given, output_hidden_states=True, output_attentions=True, return_dict=True)
    found = {}
    for name, value in output.items():
        if isinstance(value, torch.Tensor):
            found[name] = value.contiguous().clone()
        elif isinstance(value, (tuple, list)) and name != "past_key_values":
            found.update({f"{name}.{number}": part.contiguous().clone() for number, part in enumerate(value)})
    return found


def typed(given, dtype):
    """Stored inputs as the model takes them."""
    given = dict(given)
    if "pixel_values" in given:
        given["pixel_values"] = given["pixel_values"].to(dtype)
    if "interpolate_pos_encoding" in given:
        given["interpolate_pos_encoding"] = True
    return given


def continues(batch, config):
    """Whether texts of this batch can be continued: a decoder's end in a token, not in padding."""
    return config.is_encoder_decoder or batch != "right"


GREEDY = {
    "plain": {},
    "penalised": {"repetition_penalty": 1.7},
    "long": {"min_new_tokens": 5},
}


def generate(model, given):
    """Six tokens more, greedily, in several ways. The second of them ends a text, so that some end early."""
    asked = {name: given[name] for name in ("input_ids", "attention_mask") if name in given}
    first = model.generate(**asked, max_new_tokens=6, do_sample=False)
    ended = int(first[0, -5])
    options = {"max_new_tokens": 6, "do_sample": False, "eos_token_id": ended, "pad_token_id": 0}
    return {name: model.generate(**asked, **options, **more).contiguous() for name, more in GREEDY.items()}


def flat(nested):
    """{"batch": {"name": tensor}} as {"batch/name": tensor}."""
    return {f"{batch}/{name}": value for batch, values in nested.items() for name, value in values.items()}


def nested(flat_tensors):
    """The inverse of `flat`."""
    found = {}
    for name, value in flat_tensors.items():
        batch, _, rest = name.partition("/")
        found.setdefault(batch, {})[rest] = value
    return found


# checking ------------------------------------------------------------------------------------------------------------


def check_all(folder, transformers):
    """Open every model below `folder` and write what it says; a failure is written as such."""
    for spec in sorted(folder.rglob(SPEC)):
        place, version = spec.parent, transformers.__version__
        wanted = json.loads(spec.read_text(encoding="utf-8"))
        if version not in wanted["versions"]:
            continue
        try:
            said = check(place, wanted, transformers)
        except Exception as error:
            said = {"error": f"{type(error).__name__}: {error}"}
        (place / f"{version}-{SAID}").write_text(json.dumps(said), encoding="utf-8")


def check(place, spec, transformers):
    """The outputs of the model in `place` for the inputs there; returns what loading reported."""
    version = transformers.__version__
    model, info = getattr(transformers, spec["class"]).from_pretrained(
        place, attn_implementation="eager", output_loading_info=True, torch_dtype="auto"
    )
    model = model.eval()
    # longer texts than the model was trained for come last: 4.40.1 does not forget how it stretched positions for them
    inputs = sorted(nested(load_file(place / INPUTS)).items(), key=lambda item: item[0] == "long")
    outputs = {batch: run(model, given) for batch, given in inputs}
    save_file(flat(outputs), place / f"{version}-{OUTPUTS}")
    return {key: sorted(map(str, value)) for key, value in info.items() if key.endswith("_keys") or key == "error_msgs"}


if __name__ == "__main__":
    main()
