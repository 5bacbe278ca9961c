import io
import zipfile

import pytest

from madang.datasets import Audio, ClassLabel, Features, Image, Value, load_dataset
from madang.errors import DatasetGenerationError, InputError

PIL = pytest.importorskip("PIL.Image")


def picture(shade):
    made = io.BytesIO()
    PIL.new("RGB", (2, 3), (shade, 0, 0)).save(made, "PNG")
    return made.getvalue()


def shades(data):
    return [row["image"].getpixel((0, 0))[0] for row in data]


@pytest.fixture
def animals(file, tmp_path):
    for place, name in enumerate(("cat/1.png", "cat/2.png", "dog/3.PNG")):
        file(picture(place * 10), f"pictures/{name}")
    return tmp_path / "pictures"


def test_the_folders_names_are_the_classes(animals):
    data = load_dataset("imagefolder", data_dir=str(animals), split="train")
    assert data.features == Features({"image": Image(), "label": ClassLabel(names=["cat", "dog"])})
    assert data["label"] == [0, 0, 1]
    assert shades(data) == [0, 10, 20]
    assert load_dataset(str(animals), split="train").features == data.features


def test_the_classes_can_be_left_out_or_ordered(animals):
    assert load_dataset("imagefolder", data_dir=str(animals), drop_labels=True, split="train").column_names == ["image"]
    features = Features({"image": Image(), "label": ClassLabel(names=["dog", "cat"])})
    assert load_dataset(str(animals), features=features, split="train")["label"] == [1, 1, 0]
    with pytest.raises(InputError, match=r"\['dog'\] are no classes"):
        load_dataset(str(animals), features=Features({"image": Image(), "label": ClassLabel(names=["cat"])}))


def test_one_folder_or_folders_of_different_depth_are_no_classes(file, tmp_path):
    file(picture(1), "flat/1.png")
    assert load_dataset(str(tmp_path / "flat"), split="train").column_names == ["image"]
    file(picture(1), "deep/a/1.png")
    file(picture(1), "deep/b/c/1.png")
    assert load_dataset(str(tmp_path / "deep"), split="train").column_names == ["image"]
    assert load_dataset(str(tmp_path / "deep"), split="train", drop_labels=False).column_names == ["image", "label"]


def test_classes_are_the_same_in_all_splits(file, tmp_path):
    for name in ("train/cat/1.png", "train/dog/2.png", "test/dog/3.png"):
        file(picture(1), f"p/{name}")
    data = load_dataset(str(tmp_path / "p"))
    assert data["train"].features == data["test"].features
    assert data["test"]["label"] == [1]


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_metadata_describes_the_files(file, animals, kind):
    rows = [("dog/3.PNG", "a dog"), ("./cat/1.png", "a cat")]
    text = {
        "csv": "file_name,caption\n" + "".join(f"{name},{caption}\n" for name, caption in rows),
        "jsonl": "".join(f'{{"file_name": "{name}", "caption": "{caption}"}}\n' for name, caption in rows),
    }[kind]
    file(text, f"pictures/metadata.{kind}")
    with pytest.warns(UserWarning, match=r"1 files have no row in .*metadata.*2\.png"):
        data = load_dataset(str(animals), split="train")
    assert data.features == Features({"image": Image(), "caption": Value("string")})
    assert (shades(data), data["caption"]) == ([20, 0], ["a dog", "a cat"])
    assert load_dataset(str(animals), split="train", drop_metadata=True).column_names == ["image"]


def test_metadata_that_does_not_fit_is_explained(file, animals):
    file("name,caption\ncat/1.png,x\n", "pictures/metadata.csv")
    with pytest.raises(DatasetGenerationError, match="`file_name` must be present"):
        load_dataset(str(animals))
    file("file_name,caption\n../secret.png,x\n", "pictures/metadata.csv")
    with pytest.raises(DatasetGenerationError, match=r"has a row for '\.\./secret\.png', but there is no such file"):
        load_dataset(str(animals))


def test_pictures_in_a_zip_are_taken_in(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.writestr("a/1.png", picture(7))
        packed.writestr("b/2.png", picture(8))
    data = load_dataset("imagefolder", data_files=str(tmp_path / "a.zip"), split="train")
    assert (shades(data), data["label"]) == ([7, 8], [0, 1])


def test_streaming_gives_the_same_rows(animals):
    data = load_dataset(str(animals), split="train")
    stream = load_dataset(str(animals), split="train", streaming=True)
    assert stream.features == data.features
    assert [(row["label"], row["image"].getpixel((0, 0))) for row in stream] == [
        (row["label"], row["image"].getpixel((0, 0))) for row in data
    ]


def test_sounds_have_a_folder_of_their_own(file, tmp_path):
    for name in ("a/1.wav", "b/2.flac"):
        file(b"not decoded here", f"sounds/{name}")
    data = load_dataset(str(tmp_path / "sounds"), split="train")
    assert isinstance(data.features["audio"], Audio)
    assert data.features["label"].names == ["a", "b"]
