import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from madang.client import push_folder
from madang.errors import HubError, InputError
from madang.training.publish import PublishCallback
from tests.stand_in_hub import stand_in_hub
from tests.unit.training.firing import Run

MODEL = {"config.json": b"{}", "model.safetensors": b"weights", "tokenizer.json": b"{}"}
STATES = {
    "optimizer.pt": b"moments", "scheduler.pt": b"rate", "rng_state.pth": b"chance", "position.pt": b"place",
    "scaler.pt": b"scale", "trainer_state.json": b"{}", "training_args.json": b"{}",
}  # fmt: skip


class Uploads:
    """Takes uploads, notes what each brought, and waits or fails where a test says so."""

    def __init__(self):
        self.taken, self.failing = [], False
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.begun = threading.Event()

    def __call__(self, folder, repository, **options):
        self.begun.set()
        assert self.may_go_on.wait(10)
        if self.failing:
            raise HubError("the hub answered 503")
        ignored = options.pop("ignore", ())
        names = sorted(path.name for path in Path(folder).iterdir() if not any(map(path.match, ignored)))
        self.taken.append((repository, options.get("path_in_repo", ""), names, options))
        return "address"


def publishing(folder, uploads, **given):
    """A run with the callback, whose trainer notes when it is to push; `save()` writes a checkpoint."""
    trainer = SimpleNamespace(pushed=[], fired=[])
    trainer.push_to_hub = lambda **options: trainer.pushed.append(options)
    trainer.fire = trainer.fired.append
    given = {"push_to_hub": True, "hub_model_id": "kim/news"} | given
    run = Run(folder / "out", [PublishCallback(trainer, uploads)], **given)
    run.trainer = trainer

    def save():
        run.step()
        checkpoint = folder / "out" / f"checkpoint-{run.state.global_step}"
        checkpoint.mkdir(parents=True)
        for name, content in {**MODEL, **STATES}.items():
            (checkpoint / name).write_bytes(content)
        run.fire("on_save")
        return checkpoint

    run.save = save
    return run


def test_at_the_end_the_model_is_pushed_once(tmp_path):
    uploads = Uploads()
    run = publishing(tmp_path, uploads, hub_strategy="end")
    run.save()
    run.end()
    assert uploads.taken == []
    assert run.trainer.pushed == [{"commit_message": "End of training"}]


def test_every_save_uploads_the_model_without_the_states_of_training(tmp_path):
    uploads = Uploads()
    options = dict(hub_private_repo=True, hub_token="hf_alice", hub_revision="try")
    run = publishing(tmp_path, uploads, hub_strategy="every_save", **options)
    run.save()
    run.end()
    ((repository, place, names, told),) = uploads.taken
    assert (repository, place, names) == ("kim/news", "", sorted(MODEL))
    assert told == {
        "private": True, "token": "hf_alice", "revision": "try", "commit_message": "Training in progress, step 1",
    }  # fmt: skip
    assert run.trainer.fired == ["on_push_begin"]
    assert len(run.trainer.pushed) == 1


@pytest.mark.parametrize(
    ("strategy", "place"), [("checkpoint", "last-checkpoint"), ("all_checkpoints", "checkpoint-1")]
)
def test_checkpoints_come_whole_beside_the_model(tmp_path, strategy, place):
    uploads = Uploads()
    run = publishing(tmp_path, uploads, hub_strategy=strategy)
    run.save()
    run.end()
    assert [(where, names) for _, where, names, _ in uploads.taken] == [
        ("", sorted(MODEL)),
        (place, sorted({**MODEL, **STATES})),
    ]


def test_training_goes_on_while_an_upload_runs_and_what_is_removed_meanwhile_arrives(tmp_path):
    uploads = Uploads()
    uploads.may_go_on.clear()
    run = publishing(tmp_path, uploads, hub_strategy="every_save")
    checkpoint = run.save()  # returns although the upload waits
    assert uploads.begun.wait(10)
    for file in checkpoint.iterdir():
        file.unlink()
    checkpoint.rmdir()
    uploads.may_go_on.set()
    run.end()
    assert uploads.taken[0][2] == sorted(MODEL)
    assert list((tmp_path / "out").iterdir()) == []  # no copy stays


def test_a_save_during_an_upload_is_left_out_but_the_last_checkpoint_comes(tmp_path):
    uploads = Uploads()
    uploads.may_go_on.clear()
    run = publishing(tmp_path, uploads, hub_strategy="all_checkpoints")
    for _ in range(3):
        run.save()
    uploads.may_go_on.set()
    run.end()
    assert [place for _, place, _, _ in uploads.taken] == ["", "checkpoint-1", "checkpoint-3"]


def test_hub_always_push_leaves_none_out(tmp_path):
    uploads = Uploads()
    uploads.may_go_on.clear()
    run = publishing(tmp_path, uploads, hub_strategy="every_save", hub_always_push=True)
    for _ in range(3):
        run.save()
    uploads.may_go_on.set()
    run.end()
    messages = [options["commit_message"] for _, _, _, options in uploads.taken]
    assert messages == [f"Training in progress, step {step}" for step in (1, 2, 3)]


def test_a_failure_while_training_is_told_and_training_goes_on(tmp_path):
    uploads = Uploads()
    uploads.failing = True
    run = publishing(tmp_path, uploads, hub_strategy="every_save")
    run.save()
    with pytest.warns(UserWarning, match="an upload failed, training goes on .*503"):
        run.end()
    assert len(run.trainer.pushed) == 1
    assert not list((tmp_path / "out").glob(".publishing-*"))


def test_a_checkpoint_that_is_not_there_is_told(tmp_path):
    run = publishing(tmp_path, Uploads(), hub_strategy="every_save")
    (tmp_path / "out").mkdir()
    with pytest.warns(UserWarning, match="checkpoint-0 is not uploaded"):
        run.fire("on_save")


def test_a_failure_at_the_end_is_an_error(tmp_path):
    run = publishing(tmp_path, Uploads(), hub_strategy="end")

    def refuse(**options):
        raise HubError("no")

    run.trainer.push_to_hub = refuse
    with pytest.raises(HubError):
        run.end()


def test_other_processes_only_take_part_in_the_push_at_the_end(tmp_path):
    uploads = Uploads()
    run = publishing(tmp_path, uploads, hub_strategy="every_save")
    run.state.is_world_process_zero = False
    run.save()
    run.end()
    assert uploads.taken == run.trainer.fired == []
    assert len(run.trainer.pushed) == 1


def test_without_a_name_the_repository_is_called_like_the_folder(tmp_path):
    uploads = Uploads()
    run = publishing(tmp_path, uploads, hub_strategy="every_save", hub_model_id=None)
    run.save()
    run.end()
    assert uploads.taken[0][0] == "out"


@pytest.fixture
def hub(monkeypatch):
    with stand_in_hub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        yield hub


@pytest.mark.loopback
def test_checkpoints_replace_each_other_on_a_hub(tmp_path, hub):
    hub.put("alice/news", {"last-checkpoint/model-00002.safetensors": b"old", "README.md": b"card"})
    given = dict(hub_model_id="alice/news", hub_token="hf_alice", hub_strategy="checkpoint")
    run = publishing(tmp_path, push_folder, **given)
    run.save()
    run.end()
    files = hub.files("alice/news")
    expected = {"README.md": b"card", **MODEL}
    expected |= {f"last-checkpoint/{name}": content for name, content in {**MODEL, **STATES}.items()}
    assert {name: content for name, content in files.items() if name != ".gitattributes"} == expected
    assert hub.repositories["alice/news"].messages[-2:] == [
        "Training in progress, step 1",
        "Training in progress, step 1, checkpoint",
    ]


@pytest.mark.loopback
def test_a_folder_is_pushed_into_a_branch_that_is_made(tmp_path, hub):
    (tmp_path / "config.json").write_bytes(b"{}")
    address = push_folder(tmp_path, "alice/new", commit_message="First", token="hf_alice", revision="try", private=True)
    assert address.startswith(f"{hub.address}/alice/new/commit/")
    assert hub.files("alice/new", "try")["config.json"] == b"{}"
    assert hub.repositories["alice/new"].private


@pytest.mark.loopback
def test_strangers_and_impossible_names_are_refused(tmp_path, hub):
    (tmp_path / "config.json").write_bytes(b"{}")
    hub.put("alice/news", {})
    with pytest.raises(HubError, match="does not allow"):
        push_folder(tmp_path, "alice/news", commit_message="x", token="hf_bob")
    with pytest.raises(InputError, match="cannot be the name of a repository"):
        push_folder(tmp_path, "a//b", commit_message="x", token="hf_bob")
