"""Every head and config corner against the reference packages: loaded there and here, saved here and opened there.

The models are small and random, made by the reference packages themselves. Numbers are compared on real tokens.
"""

import json
import shutil
from dataclasses import dataclass, field

import pytest
import torch
from safetensors import safe_open

from madang.auto.classes import model_class
from madang.auto.registry import families
from tests.parity.cases import ABSENT, CASES, HEADS, NEW, OLD, VERSIONS
from tests.parity.compare import (
    ENCODERS,
    compare_loaded,
    differences,
    expected,
    given,
    load,
    stretched_otherwise,
)
from tests.parity.conftest import finish, start
from tests.parity.reference import GENERATED, GREEDY, INPUTS, OUTPUTS, SAID, SPEC, fill, nested, run

pytestmark = pytest.mark.parity

EACH = [
    pytest.param(version, case, id=f"{version}-{case.name}")
    for version in VERSIONS
    for case in CASES
    if version in case.versions
]
LIKELY = pytest.mark.filterwarnings("error::madang.auto.LoadingWarning")


def place_of(made, version, case):
    """The folder of the case as that version made it; its error when it could not."""
    place = made.of(version) / case.folder
    assert not (place / SAID).exists(), (
        f"transformers {version} could not make it: {(place / SAID).read_text(encoding='utf-8')}"
    )
    return place


@pytest.fixture(autouse=True)
def one_thread():
    """Small models: a second thread only costs."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_every_head_of_every_family_is_compared():
    ours = {family.model_type: {task: recipe.name for task, recipe in family.recipes.items()} for family in families()}
    assert ours == HEADS
    compared = {(case.model_type, case.task, version) for case in CASES for version in case.versions}
    wanted = {
        (model_type, task, version)
        for model_type, heads in HEADS.items()
        for task, name in heads.items()
        for version in VERSIONS
        if version not in ABSENT.get(name, ())
    }
    assert wanted <= compared


@LIKELY
@pytest.mark.parametrize(("version", "case"), EACH)
def test_a_model_made_there_gives_the_same_numbers_here(made, version, case):
    problems, _ = compare_loaded(case, place_of(made, version, case), version)
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize(("version", "case"), [param for param in EACH if param.values[1].generates])
def test_greedy_texts_are_the_same_token_for_token(made, version, case):
    place = place_of(made, version, case)
    model = load(case, place)
    inputs = given(place)
    for batch, wanted in expected(place, GENERATED).items():
        asked = {name: inputs[batch][name] for name in ("input_ids", "attention_mask") if name in inputs[batch]}
        ids = model.generate(**asked, max_new_tokens=6, do_sample=False)
        options = {"max_new_tokens": 6, "do_sample": False, "eos_token_id": int(ids[0, -5]), "pad_token_id": 0}
        for name, more in GREEDY.items():
            for use_cache in (True, False):
                ids = model.generate(**asked, **options, **more, use_cache=use_cache)
                assert torch.equal(ids, wanted[name]), f"{batch}, {name}, use_cache={use_cache}"


@pytest.mark.parametrize(("version", "case"), EACH)
def test_a_file_comes_back_bit_for_bit(made, saved, version, case):
    place, ours = place_of(made, version, case), saved.of(version, case)
    there, here = tensors(place), tensors(ours)
    assert here.keys() - there.keys() == added(version, case)
    assert not there.keys() - here.keys()
    for name, value in there.items():
        if name == unread(version, case):
            continue
        mine = here[name]
        assert (mine.dtype, mine.shape) == (value.dtype, value.shape), name
        assert torch.equal(mine.view(torch.uint8), value.view(torch.uint8)), f"{name} has other bytes"


def added(version, case):
    """Tensors that the file lacks and Madang saves: 5.x needs the bias of an untied language head a second time."""
    return {f"{untied_head(case)}.decoder.bias"} if untied_head(case) and version == OLD else set()


def unread(version, case):
    """The tensor of 5.x that no computation reads: 4.40.1 reads the same name, so Madang saves there what counts."""
    return f"{untied_head(case)}.bias" if untied_head(case) and version == NEW else None


def untied_head(case):
    """Where an encoder's language head with an output matrix of its own lies; else None."""
    if case.config.get("tie_word_embeddings", True) or case.model_type not in ENCODERS:
        return None
    return "lm_head" if case.model_type == "roberta" else "cls.predictions"


def tensors(place):
    """All tensors of model.safetensors."""
    with safe_open(place / "model.safetensors", framework="pt") as opened:
        assert opened.metadata() == {"format": "pt"}
        return {name: opened.get_tensor(name).contiguous() for name in opened.keys()}  # noqa: SIM118


# ------------------------------------------------------------------------------------------------ what is saved here

FRESH = "fresh"
# Made by 5.23.0, where outputs that are not scaled and tied embeddings go together; 4.40.1 has one key for both.
ONE_KEY = ("t5/untied", "t5/1.1")


@dataclass
class Saved:
    """What Madang saved: of each version's models, and drawn fresh; and what each version says to it."""

    root: object
    errors: dict = field(default_factory=dict)
    checked: dict = field(default_factory=dict)

    def of(self, source, case):
        """The folder of one case; the error that saving it gave."""
        if (source, case.name) in self.errors:
            raise self.errors[source, case.name]
        return self.root / source / case.folder


@pytest.fixture(scope="session")
def saved(made, tmp_path_factory):
    """All models saved by Madang, with the inputs to compare on, and both versions asked what they think of them."""
    result = Saved(tmp_path_factory.mktemp("saved"))
    for version in made.processes:
        for case in CASES:
            if version in case.versions:
                keep(
                    result,
                    version,
                    case,
                    lambda case=case, version=version: load(case, place_of(made, version, case)),
                    made,
                    version,
                )
    for case in CASES:
        maker = next((version for version in made.processes if version in case.versions), None)
        if maker is not None:
            keep(result, FRESH, case, lambda case=case: drawn(case), made, maker)
    result.checked = {version: start(version, "check", result.root) for version in made.processes}
    return result


def keep(result, source, case, make, made, maker):
    """Save one model beside inputs and, where it was drawn here, its outputs; remember what went wrong."""
    place = result.root / source / case.folder
    place.mkdir(parents=True)
    try:
        model = make()
        model.save_pretrained(place)
        origin = place_of(made, maker, case)
        shutil.copy(origin / INPUTS, place / INPUTS)
        if source == FRESH:
            write_outputs(model, place)
        else:
            shutil.copy(origin / OUTPUTS, place / OUTPUTS)
        (place / SPEC).write_text(
            json.dumps({"class": case.class_name, "versions": readers(source, case)}), encoding="utf-8"
        )
    except Exception as error:
        result.errors[source, case.name] = error


def readers(source, case):
    """Which versions are asked to open the model of `case` that came from `source`."""
    return [version for version in VERSIONS if opens(version, source, case)]


def opens(version, source, case):
    """Whether this version has such a model. Of the other version's files, those it spells its own way are enough."""
    if version not in case.versions or source not in (FRESH, *case.versions):
        return False
    if case.name in ONE_KEY and (version, source) == (OLD, NEW):
        return False
    own_way = case.task == case.name.partition("/")[2] or case.model_type == "llama" or "untied" in case.name
    return source in (version, FRESH) or own_way


def drawn(case):
    """A model that was never anywhere else."""
    made = model_class(case.model_type, case.task)
    model = made(made.config_class(**case.config)).eval()
    fill(model)
    return model.to(getattr(torch, case.dtype))


def write_outputs(model, place):
    """What the model says here to the inputs there."""
    from safetensors.torch import save_file

    from tests.parity.reference import flat

    save_file(flat({batch: run(model, inputs) for batch, inputs in given(place).items()}), place / OUTPUTS)


OPENED = [
    pytest.param(version, source, case, id=f"{version} opens {source}-{case.name}")
    for version in VERSIONS
    for source in (*VERSIONS, FRESH)
    for case in CASES
    if opens(version, source, case)
]


@pytest.mark.parametrize(("version", "source", "case"), OPENED)
def test_what_is_saved_here_opens_there_with_the_same_numbers(saved, version, source, case):
    place = saved.of(source, case)
    wait_for(saved, version)
    said = json.loads((place / f"{version}-{SAID}").read_text(encoding="utf-8"))
    assert not any(said.values()), said
    found, wanted = nested_file(place / f"{version}-{OUTPUTS}"), expected(place)
    problems = []
    for batch, inputs in given(place).items():
        if version != source and OLD in (version, source) and stretched_otherwise(case, batch, OLD):
            continue
        # one program, one set of weights: what is left is how the file's tensors lie in memory, which some kernels heed
        tolerance = 1e-6 if version == source and case.dtype == "float32" else None
        wrong, _ = differences(case, inputs, found[batch], wanted[batch], tolerance=tolerance)
        problems += [f"{batch}: {problem}" for problem in wrong]
    assert not problems, "\n".join(problems)


def wait_for(saved, version):
    """Until that version has looked at everything."""
    if version not in saved.checked:
        pytest.skip(f"needs transformers {version}: `make test` installs it")
    finish(saved.checked[version])


def nested_file(path):
    """batch -> output -> tensor."""
    from safetensors.torch import load_file

    return nested(load_file(path))
