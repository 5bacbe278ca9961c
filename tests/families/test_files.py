"""What every family does with files: names, bytes, prefixes, shards, and what is said about it."""

import copy
import io
import json
import pickle
import warnings

import pytest
import torch
from safetensors.torch import load_file, save_file

from madang.auto import AutoModel, LoadingWarning
from madang.auto.classes import model_class
from madang.auto.registry import families, family
from madang.errors import CheckpointError
from tests.families.each import BODIES, HEADS, TEXT_HEADS, answers, each, tiny_inputs, tiny_model, without_labels


def stored(folder):
    """The tensors of a saved model."""
    return load_file(folder / "model.safetensors")


def same_tensors(one, other):
    """Same names, dtypes, shapes and bytes."""
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert value.dtype == other[name].dtype
        assert torch.equal(value, other[name]), name


def loaded(model_type, task, folder, **options):
    """The model in `folder`, its loading report silent."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", LoadingWarning)
        return model_class(model_type, task).from_pretrained(folder, **options)


def same_answers(one, other):
    """Both models say exactly the same."""
    inputs = tiny_inputs(one)
    with torch.no_grad():
        first, second = answers(one(**inputs)), answers(other(**inputs))
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


@each(HEADS)
def test_builds_on_the_meta_device(model_type, task):
    real = tiny_model(model_type, task)
    with torch.device("meta"):
        model = model_class(model_type, task)(real.config)
    assert all(parameter.is_meta for parameter in model.parameters())
    assert {name: value.shape for name, value in model.state_dict().items()} == {
        name: value.shape for name, value in real.state_dict().items()
    }


@each(HEADS)
def test_every_parameter_has_one_name_on_disk(model_type, task):
    model = tiny_model(model_type, task)
    steps = model.naming.steps(model)
    named = [name for step in steps for name in step.parameters]
    assert sorted(named) == sorted(name for name, _ in model.named_parameters())
    disk = [step.stored for step in steps]
    assert len(set(disk)) == len(disk)
    assert not any("blocks." in name or "feed_forward" in name for name in disk), "the model's own names reach the disk"


@each(HEADS)
def test_names_on_disk_are_understood_back(model_type, task):
    model = tiny_model(model_type, task)
    for step in model.naming.steps(model):
        parameters = dict(model.named_parameters())
        parts = [parameters[name].detach() for name in step.parameters]
        joined = step.entry.join(parts)
        assert joined.shape == step.entry.stored_shape([part.shape for part in parts])
        for part, back in zip(parts, step.entry.split(joined, [part.shape for part in parts]), strict=True):
            assert torch.equal(part, back)


@each(HEADS)
def test_saved_and_loaded_is_the_same_to_the_bit(model_type, task, tmp_path):
    model = tiny_model(model_type, task)
    model.save_pretrained(tmp_path / "one")
    again = loaded(model_type, task, tmp_path / "one")
    same_answers(model, again)
    again.save_pretrained(tmp_path / "two")
    same_tensors(stored(tmp_path / "one"), stored(tmp_path / "two"))
    assert (tmp_path / "one" / "config.json").read_bytes() == (tmp_path / "two" / "config.json").read_bytes()


@each(HEADS)
def test_shards_hold_the_same(model_type, task, tmp_path):
    model = tiny_model(model_type, task)
    model.save_pretrained(tmp_path / "whole")
    model.save_pretrained(tmp_path / "shards", max_shard_size="4KB")
    index = json.loads((tmp_path / "shards" / "model.safetensors.index.json").read_text(encoding="utf-8"))
    shards = sorted((tmp_path / "shards").glob("model-*.safetensors"))
    assert len(shards) > 2
    assert list(index["weight_map"]) == sorted(index["weight_map"])
    assert {shard.name for shard in shards} == set(index["weight_map"].values())
    together = {name: value for shard in shards for name, value in load_file(shard).items()}
    same_tensors(stored(tmp_path / "whole"), together)
    assert index["metadata"]["total_size"] == sum(value.numel() * value.element_size() for value in together.values())
    same_answers(model, loaded(model_type, task, tmp_path / "shards"))
    model.save_pretrained(tmp_path / "shards")
    assert not list((tmp_path / "shards").glob("model-*")), "shards of the earlier save would mislead"
    same_answers(model, loaded(model_type, task, tmp_path / "shards"))


@each(HEADS)
def test_names_on_disk_come_in_the_order_of_the_model(model_type, task):
    model = tiny_model(model_type, task)
    order = [name for name, _ in model.named_parameters()]
    steps = model.naming.steps(model)
    assert [order.index(step.parameters[0]) for step in steps] == sorted(
        order.index(step.parameters[0]) for step in steps
    )


@each(HEADS)
def test_a_bin_file_with_old_spellings_loads(model_type, task, tmp_path):
    model = tiny_model(model_type, task)
    model.save_pretrained(tmp_path)
    tensors = {}
    for name, value in stored(tmp_path).items():
        if "LayerNorm" in name:
            name = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
        tensors[name] = value
    (tmp_path / "model.safetensors").unlink()
    torch.save(tensors, tmp_path / "pytorch_model.bin")
    same_answers(model, loaded(model_type, task, tmp_path))


@each(HEADS)
def test_bin_shards_load(model_type, task, tmp_path):
    model = tiny_model(model_type, task)
    model.save_pretrained(tmp_path)
    names = sorted(stored(tmp_path))
    tensors = stored(tmp_path)
    half = len(names) // 2
    where = {}
    for number, part in enumerate((names[:half], names[half:]), 1):
        file = f"pytorch_model-0000{number}-of-00002.bin"
        torch.save({name: tensors[name] for name in part}, tmp_path / file)
        where.update(dict.fromkeys(part, file))
    (tmp_path / "model.safetensors").unlink()
    (tmp_path / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": where}), encoding="utf-8")
    same_answers(model, loaded(model_type, task, tmp_path))


def heads_with_body(model_type):
    """Tasks of a family whose head stands on the family's own body."""
    return [
        task for task, recipe in family(model_type).recipes.items() if recipe.build is not None and recipe.body is None
    ]


@each(BODIES)
def test_a_body_loads_from_a_file_with_or_without_a_head(model_type, task, tmp_path):
    for number, head_task in enumerate(heads_with_body(model_type)):
        model = tiny_model(model_type, head_task, num_labels=4)
        model.save_pretrained(tmp_path / str(number))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", LoadingWarning)
            body = AutoModel.from_pretrained(tmp_path / str(number))
        same_parameters(body, model)
        assert not body.loading_report.unexpected, head_task
        missing = {name for name in body.loading_report.missing if not name.startswith("pooler.")}
        assert not missing, head_task
        body.save_pretrained(tmp_path / f"bare{number}")
        again = model_class(model_type, "body").from_pretrained(tmp_path / f"bare{number}")
        assert not again.loading_report.missing
        same_parameters(again, body)


@each([(model_type, task) for model_type, task in HEADS if task in heads_with_body(model_type)])
def test_a_head_on_a_bare_body_is_new_and_said_to_be(model_type, task, tmp_path):
    changes = {"is_decoder": True} if task == "causal-language" and model_type in ("bert", "roberta") else {}
    body = tiny_model(model_type, "body", **changes)
    body.save_pretrained(tmp_path)
    with pytest.warns(LoadingWarning) if new_names(model_type, task, body) else warnings.catch_warnings():
        model, info = model_class(model_type, task).from_pretrained(tmp_path, output_loading_info=True)
    assert set(info["missing_keys"]) == new_names(model_type, task, body)
    assert not info["mismatched_keys"]
    same_parameters(model, body)
    assert model.num_parameters() == sum(parameter.numel() for parameter in model.parameters())
    with torch.no_grad():
        assert all(torch.isfinite(value).all() for value in answers(model(**tiny_inputs(model))).values())


def new_names(model_type, task, body):
    """What a head adds to a body, as it is called on disk."""
    model = tiny_model(model_type, task)
    of_head = {step.stored for step in model.naming.steps(model) if step.parameters[0].startswith("head.")}
    if model.body.pooler is not None and body.body.pooler is None:
        of_head |= {step.stored for step in model.naming.steps(model) if "pooler" in step.parameters[0]}
    return of_head


def same_parameters(one, other):
    """The bodies agree wherever both have a parameter."""
    mine, theirs = dict(one.body.named_parameters()), dict(other.body.named_parameters())
    shared = mine.keys() & theirs.keys()
    assert len(shared) >= len(theirs) - 2, "only a pooler may be missing on one side"
    assert all(torch.equal(mine[name], theirs[name]) for name in shared)


@each([(model_type, task) for model_type, task in HEADS if task in heads_with_body(model_type)])
def test_a_head_file_written_without_the_prefix_loads(model_type, task, tmp_path):
    model = tiny_model(model_type, task)
    model.save_pretrained(tmp_path)
    prefix = model.naming.prefix
    tensors = {name.removeprefix(prefix): value for name, value in stored(tmp_path).items()}
    save_file(tensors, tmp_path / "model.safetensors")
    again, info = model_class(model_type, task).from_pretrained(tmp_path, output_loading_info=True)
    assert not any(info.values())
    same_answers(model, again)


@each(HEADS)
def test_every_parameter_is_from_the_file_or_said_to_be_missing(model_type, task, tmp_path):
    model = tiny_model(model_type, task)
    model.save_pretrained(tmp_path)
    tensors = stored(tmp_path)
    gone = sorted(tensors)[::3]
    save_file({name: value for name, value in tensors.items() if name not in gone}, tmp_path / "model.safetensors")
    with pytest.warns(LoadingWarning) as warned:
        again, info = model_class(model_type, task).from_pretrained(tmp_path, output_loading_info=True)
    # files that lack the vocabulary's table tie it to nothing, so its copy counts as missing too
    assert set(info["missing_keys"]) >= set(gone)
    assert set(info["missing_keys"]) - set(gone) <= {step.stored for step in again.naming.steps(again)} - tensors.keys()
    for name in info["missing_keys"][:5]:
        assert f"`{name}`" in str(warned[0].message)
    assert str(len(info["missing_keys"]) - 12) in str(warned[0].message) or len(info["missing_keys"]) <= 12
    parameters, before = dict(again.named_parameters()), dict(model.named_parameters())
    for step in again.naming.steps(again):
        for name in step.parameters:
            from_file = torch.equal(parameters[name], before[name])
            assert from_file != (step.stored in info["missing_keys"]), name
            assert torch.isfinite(parameters[name]).all()


@each(HEADS)
def test_tensors_of_no_use_are_listed_and_masks_of_old_files_are_not(model_type, task, tmp_path):
    model = tiny_model(model_type, task)
    model.save_pretrained(tmp_path)
    tensors = stored(tmp_path)
    save_file({**tensors, "somewhere.else.weight": torch.ones(2)}, tmp_path / "model.safetensors")
    with pytest.warns(LoadingWarning, match=r"somewhere\.else\.weight"):
        _, info = model_class(model_type, task).from_pretrained(tmp_path, output_loading_info=True)
    assert info["unexpected_keys"] == ["somewhere.else.weight"]
    assert not info["missing_keys"]


@each(HEADS)
def test_another_shape_is_an_error_that_names_all_of_them(model_type, task, tmp_path):
    model = tiny_model(model_type, task)
    model.save_pretrained(tmp_path)
    tensors = stored(tmp_path)
    matrices = [name for name, value in tensors.items() if value.ndim == 2][:2]
    wrong = {name: torch.cat((tensors[name], tensors[name]), 1) for name in matrices}
    save_file({**tensors, **wrong}, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError) as raised:
        model_class(model_type, task).from_pretrained(tmp_path)
    assert all(name in str(raised.value) for name in matrices)
    with pytest.warns(LoadingWarning):
        again, info = model_class(model_type, task).from_pretrained(
            tmp_path, ignore_mismatched_sizes=True, output_loading_info=True
        )
    assert {name for name, *_ in info["mismatched_keys"]} == set(matrices)
    assert all(parameter.isfinite().all() for parameter in again.parameters())


@each(HEADS)
def test_half_precision_files_stay_as_they_are(model_type, task, tmp_path):
    model = tiny_model(model_type, task).to(torch.bfloat16)
    model.save_pretrained(tmp_path / "one")
    again = loaded(model_type, task, tmp_path / "one")
    assert again.dtype == torch.bfloat16
    assert json.loads((tmp_path / "one" / "config.json").read_text(encoding="utf-8"))["dtype"] == "bfloat16"
    again.save_pretrained(tmp_path / "two")
    same_tensors(stored(tmp_path / "one"), stored(tmp_path / "two"))
    wide = loaded(model_type, task, tmp_path / "one", dtype=torch.float32)
    assert {parameter.dtype for parameter in wide.parameters()} == {torch.float32}


@each(HEADS)
def test_pickles_deep_copies_and_torch_files_say_the_same(model_type, task):
    model = tiny_model(model_type, task)
    same_answers(model, pickle.loads(pickle.dumps(model)))
    same_answers(model, copy.deepcopy(model))
    buffer = io.BytesIO()
    torch.save(model, buffer)
    buffer.seek(0)
    same_answers(model, torch.load(buffer, weights_only=False))
    buffer = io.BytesIO()
    torch.save(model.state_dict(), buffer)
    buffer.seek(0)
    other = tiny_model(model_type, task, seed=1)
    other.load_state_dict(torch.load(buffer, weights_only=True))
    same_answers(model, other)


@each([(model_type, task) for model_type, task in HEADS if family(model_type).recipes[task].tied is not None])
def test_tied_parameters_stay_tied(model_type, task, tmp_path):
    for tie in (True, False):
        model = tiny_model(model_type, task, tie_word_embeddings=tie)
        model.save_pretrained(tmp_path / str(tie))
        for one in (
            model,
            loaded(model_type, task, tmp_path / str(tie)),
            copy.deepcopy(model),
            pickle.loads(pickle.dumps(model)),
        ):
            assert (one.get_output_embeddings().weight is one.get_input_embeddings().weight) == tie
            one.to(torch.bfloat16)
            assert (one.get_output_embeddings().weight is one.get_input_embeddings().weight) == tie
    tied, apart = (
        tiny_model(model_type, task, tie_word_embeddings=True),
        tiny_model(model_type, task, tie_word_embeddings=False),
    )
    table = apart.get_input_embeddings().weight
    assert apart.num_parameters() - tied.num_parameters() == table.numel()


@each(TEXT_HEADS)
def test_the_published_names_of_parts_reach_them(model_type, task):
    model = tiny_model(model_type, task)
    if model.base_model_prefix:
        assert getattr(model, model.base_model_prefix) is model.base_model
    for disk, entry in model.recipe.table(model.config).items():
        if isinstance(entry, str) and "." not in disk:
            assert getattr(model, disk) is model.head.get_submodule(entry)


@each(HEADS)
def test_the_number_of_parameters_counts_tied_ones_once(model_type, task, tmp_path):
    model = tiny_model(model_type, task)
    model.save_pretrained(tmp_path)
    doubled = sum(entry.numel() for name, entry in stored(tmp_path).items() if name.endswith("decoder.bias"))
    assert model.num_parameters() == sum(value.numel() for value in stored(tmp_path).values()) - doubled
    for parameter in model.body.parameters():
        parameter.requires_grad_(False)
    in_head = sum(p.numel() for p in model.head.parameters() if p.requires_grad) if model.head is not None else 0
    assert model.num_parameters(only_trainable=True) == in_head


@each(HEADS)
def test_the_summary_names_class_head_and_source(model_type, task, tmp_path):
    model = tiny_model(model_type, task)
    assert type(model).__name__ in model.summary()
    assert "untrained" in model.summary()
    model.save_pretrained(tmp_path)
    again = loaded(model_type, task, tmp_path)
    assert "untrained" not in again.summary()
    assert str(tmp_path) in again.summary()
    assert f"{model.num_parameters():,}" in again.summary()


def test_every_family_has_a_body_and_its_classes_are_named_after_it():
    for found in families():
        assert "body" in found.recipes
        for task, recipe in found.recipes.items():
            made = model_class(found.model_type, task)
            assert made.__name__ == recipe.name
            assert recipe.name.startswith(found.stem)
            assert made.config_class is found.config


@each(HEADS)
def test_inputs_are_said(model_type, task):
    model = tiny_model(model_type, task)
    inputs = tiny_inputs(model)
    assert set(inputs) <= set(model.input_names)
    assert set(model.label_names) == set(inputs) - set(without_labels(model, inputs))
