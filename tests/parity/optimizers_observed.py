"""What a package's Adafactor, choice of decaying parameters and smoothed loss say, as JSON.

The reference's interpreter runs this file; the tests import `steps` and `smoothed_case`.

python optimizers_observed.py CASES.json ANSWERS.json
"""

import json
import sys
import tempfile

import torch
from safetensors.torch import load_file

SHAPES = [(7, 5), (6,), (3, 4, 5), (1, 9)]


def steps(cls, options, dtype="float32", count=20):
    """Parameters, flat, after `count` steps along gradients that are the same everywhere."""
    drawn = torch.Generator().manual_seed(0)
    parameters = [torch.nn.Parameter(torch.randn(shape, generator=drawn).to(getattr(torch, dtype))) for shape in SHAPES]
    optimizer = cls(parameters, **options)
    for step in range(count):
        for parameter in parameters:
            size = 10.0 ** (step % 5 - 3)
            parameter.grad = (size * torch.randn(parameter.shape, generator=drawn)).to(parameter.dtype)
        optimizer.step()
    return torch.cat([parameter.detach().float().flatten() for parameter in parameters]).tolist()


def smoothed_case():
    """Logits (2, 5, 7) and labels of which some are no targets."""
    drawn = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(2, 5, 7, generator=drawn), torch.randint(0, 7, (2, 5), generator=drawn)
    labels[1, 2:] = -100
    return logits, labels


def decaying(transformers, case):
    """{name on disk: whether it decays} of a model's parameters."""
    config = transformers.AutoConfig.for_model(case["model_type"], **case["config"])
    model = getattr(transformers, case["class_name"])(config)
    with torch.no_grad():
        for number, parameter in enumerate(model.parameters()):
            parameter.fill_(number)
    chosen = set(transformers.Trainer.get_decay_parameter_names(None, model))
    decays = [name in chosen for name, _ in model.named_parameters()]
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        stored = load_file(f"{folder}/model.safetensors")
    # some are called otherwise there; what they are filled with tells which is which
    return {name: decays[int(tensor.flatten()[0])] for name, tensor in stored.items()}


def main(cases, answers):
    """Ask the installed transformers."""
    import warnings

    import transformers
    from transformers.trainer_pt_utils import LabelSmoother

    transformers.logging.set_verbosity_error()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    with open(cases, encoding="utf-8") as file:
        asked = json.load(file)
    logits, labels = smoothed_case()
    said = {
        "adafactor": [steps(transformers.Adafactor, case["options"], case["dtype"]) for case in asked["adafactor"]],
        "decaying": [decaying(transformers, case) for case in asked["decaying"]],
        "smoothed": [
            [LabelSmoother(part)({"logits": logits}, labels, shift_labels=shift).item() for shift in (False, True)]
            for part in asked["smoothed"]
        ],
    }
    with open(answers, "w", encoding="utf-8") as file:
        json.dump(said, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
