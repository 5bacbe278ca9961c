"""Running a model here on stored inputs, and how far its outputs are from the stored ones on real tokens."""

import torch
from safetensors.torch import load_file

from madang.auto.classes import model_class
from tests.parity.cases import OLD
from tests.parity.reference import INPUTS, OUTPUTS, nested, run, typed

# float32; half precision rounds after every operation, in another order here than there
TOLERANCES = {"float32": 2e-5, "bfloat16": 0.2, "float16": 0.02}


def expected(place, name=OUTPUTS):
    """batch -> output -> tensor, as a reference wrote it."""
    return nested(load_file(place / name))


def given(place):
    """batch -> input -> tensor."""
    return nested(load_file(place / INPUTS))


def load(case, place, **options):
    """The model of `case` as Madang opens it."""
    return model_class(case.model_type, case.task).from_pretrained(place, **options)


def real(case, name, inputs, shape):
    """Which entries of the output called `name` belong to real tokens, broadcastable to its shape."""
    if case.model_type == "t5" and case.task in ("question-answering", "sequence-classification"):
        # both sides read the same text
        name = f"encoder_{name}"
    decoder = "decoder_input_ids" in inputs or (
        case.model_type == "t5" and case.task not in ("encoder", "token-classification")
    )
    of_encoder = not decoder or name.startswith("encoder_")
    mask = inputs.get("attention_mask" if of_encoder else "decoder_attention_mask")
    if mask is None or mask.ndim != 2:
        mask = None if mask is None else mask.flatten(0, -2)
    if mask is None or len(shape) < 2 or "pooler" in name or name == "loss":
        return torch.ones((), dtype=torch.bool)
    mask = mask.bool()
    if "attentions" in name:
        return mask[:, None, :, None]
    if tuple(shape[:2]) != tuple(mask.shape):
        return torch.ones((), dtype=torch.bool)
    return mask.view(*mask.shape, *[1] * (len(shape) - 2))


def reads_padding(case, name, inputs):
    """Whether the reference reads this answer off padding: the first column's, or that in a decoder's text."""
    if case.model_type == "t5" and case.task in ("question-answering", "sequence-classification"):
        left = "attention_mask" in inputs and not bool(inputs["attention_mask"][:, 0].all())
        return left and not name.startswith("encoder_")
    pooled = case.task in ("sequence-classification", "multiple-choice") and case.model_type in ENCODERS
    left = "attention_mask" in inputs and not bool(inputs["attention_mask"][..., 0].all())
    return left and (name == "pooler_output" or (pooled and name in ("logits", "loss")))


ENCODERS = ("bert", "roberta", "deberta-v2")


def stretched_otherwise(case, batch, version):
    """Whether this release stretches the positions of images by a rule that later ones corrected."""
    return version == OLD and batch == "large" and case.model_type == "vit"


def differences(case, inputs, found, wanted, *, tolerance=None):
    """What is missing or further away than allowed, in words; and the largest distance."""
    tolerance = TOLERANCES[case.dtype] if tolerance is None else tolerance
    problems, worst = [], 0.0
    for name, value in wanted.items():
        if reads_padding(case, name, inputs):
            continue
        if name not in found:
            problems.append(f"no {name}; there are {', '.join(found)}")
            continue
        mine = found[name]
        if name == "logits" and 1 in (value.ndim, mine.ndim):
            # deberta-v2 flattens what one class says, where the config names no problem_type
            mine, value = mine.flatten(), value.flatten()
        if mine.shape != value.shape:
            problems.append(f"{name} has the shape {tuple(mine.shape)}, not {tuple(value.shape)}")
            continue
        # which parts of a half precision model are widened differs between releases
        if mine.dtype != value.dtype and case.dtype == "float32":
            problems.append(f"{name} is {mine.dtype}, not {value.dtype}")
        counts = real(case, name, inputs, value.shape).expand(value.shape)
        distance = (mine.float() - value.float()).abs()[counts].max().item() if counts.any() else 0.0
        worst = max(worst, distance)
        if not distance <= tolerance:
            problems.append(f"{name} is off by {distance:.2e}")
    return problems, worst


def without(names, outputs):
    """Outputs but those of these kinds."""
    return {key: value for key, value in outputs.items() if key.partition(".")[0] not in names}


ATTENTIONS = ("attentions", "encoder_attentions", "decoder_attentions", "cross_attentions")


def compare_loaded(case, place, version):
    """All ways in which a loaded model can be run, against what its maker said."""
    model = load(case, place)
    wanted, problems, worst = expected(place), [], 0.0
    for batch, inputs in given(place).items():
        if stretched_otherwise(case, batch, version):
            continue
        ways = {
            "plain formula": (run(model, inputs), wanted[batch]),
            "fast": (run_fast(model, inputs), without(ATTENTIONS, wanted[batch])),
        }
        for way, (found, there) in ways.items():
            wrong, distance = differences(case, inputs, found, there)
            problems += [f"{batch}, {way}: {problem}" for problem in wrong]
            worst = max(worst, distance)
    return problems, worst


def run_fast(model, inputs):
    """Outputs without attentions: packed, with the fast kernels."""
    with torch.no_grad():
        output = model(**typed(inputs, model.dtype), output_hidden_states=True)
    found = {}
    for name, value in output.items():
        if isinstance(value, torch.Tensor):
            found[name] = value
        elif isinstance(value, tuple):
            found.update({f"{name}.{number}": part for number, part in enumerate(value)})
    return found
