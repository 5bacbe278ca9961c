import io
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from madang.datasets.features import Image
from madang.datasets.features.image import encode_np_array, image_to_bytes

PIL_Image = pytest.importorskip("PIL.Image")
PIXELS = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)


@pytest.fixture
def path(tmp_path):
    PIL_Image.fromarray(PIXELS).save(tmp_path / "a.png")
    return tmp_path / "a.png"


@pytest.mark.parametrize(
    "given",
    [
        str,
        lambda path: path,
        lambda path: path.read_bytes(),
        lambda path: {"path": str(path)},
        lambda path: {"path": None, "bytes": path.read_bytes()},
        lambda path: {"path": "inside/an/archive.png", "bytes": path.read_bytes()},
        lambda path: PIL_Image.fromarray(PIXELS),
        lambda path: PIXELS,
        lambda path: PIXELS[:, :, ::-1][:, :, ::-1],
        lambda path: PIXELS.astype(np.uint8).tolist(),
    ],
)
@pytest.mark.filterwarnings("ignore:Downcasting")
def test_an_image_comes_back_however_it_was_given(given, path):
    stored = Image().encode_example(given(path))
    assert set(stored) == {"path", "bytes"}
    np.testing.assert_array_equal(np.array(Image().decode_example(stored)), PIXELS)


def test_an_image_that_is_a_file_is_stored_as_its_path(path):
    with PIL_Image.open(path) as image:
        stored = Image().encode_example(image)
    assert stored == {"path": str(path), "bytes": None}
    assert Image().decode_example(stored).filename == str(path)


def test_what_is_no_image_is_refused():
    with pytest.raises(TypeError, match="not int"):
        Image().encode_example(5)
    with pytest.raises(ValueError, match="both are None"):
        Image().decode_example({"path": None, "bytes": None})
    with pytest.raises(RuntimeError, match="decode=True"):
        Image(decode=False).decode_example({"path": "a.png", "bytes": None})
    with pytest.raises(FileNotFoundError, match=r"no file 'gone.png'"):
        Image().decode_example({"path": "gone.png", "bytes": None})


def test_images_are_turned_the_way_the_camera_says():
    exif = PIL_Image.Exif()
    exif[0x0112] = 8
    buffer = io.BytesIO()
    PIL_Image.fromarray(PIXELS).save(buffer, format="JPEG", exif=exif.tobytes())
    assert Image().decode_example({"path": None, "bytes": buffer.getvalue()}).size == (2, 3)


def test_images_come_in_the_mode_asked_for(path):
    assert Image(mode="L").decode_example({"path": str(path), "bytes": None}).mode == "L"


@pytest.mark.parametrize(
    ("pixels", "stored"),
    [
        (np.arange(16).reshape(4, 4).astype(np.uint8), "PNG"),
        (np.arange(16).reshape(4, 4).astype(np.uint16), "TIFF"),
        (np.arange(16).reshape(4, 4).astype(np.float32), "TIFF"),
        (np.arange(16).reshape(4, 4) % 2 == 0, "PNG"),
        (np.arange(16).reshape(2, 2, 4).astype(np.uint8), "PNG"),
    ],
)
def test_pixels_are_stored_as_they_are(pixels, stored):
    image = Image().decode_example(encode_np_array(pixels))
    assert image.format == stored
    np.testing.assert_array_equal(np.array(image), pixels)


@pytest.mark.parametrize(
    ("pixels", "kind"),
    [
        (np.arange(16).reshape(4, 4), "int32"),
        (np.arange(16).reshape(2, 2, 4), "uint8"),
        (np.ones((2, 2), np.uint64), "uint32"),
    ],
)
def test_wide_numbers_are_narrowed_and_said(pixels, kind):
    with pytest.warns(UserWarning, match=f"Downcasting array dtype.+{kind}.+"):
        stored = encode_np_array(pixels)
    np.testing.assert_array_equal(np.array(Image().decode_example(stored)), pixels)


@pytest.mark.parametrize("pixels", [np.zeros((4, 4), complex), np.zeros((2, 2, 4)), np.full((2, 2, 3), 300)])
@pytest.mark.filterwarnings("ignore:Downcasting")
def test_pixels_that_do_not_fit_are_refused(pixels):
    with pytest.raises(TypeError):
        encode_np_array(pixels)


def test_the_format_of_a_file_is_kept():
    buffer = io.BytesIO()
    PIL_Image.fromarray(PIXELS).save(buffer, format="JPEG")
    assert image_to_bytes(PIL_Image.open(buffer))[:2] == b"\xff\xd8"


@pytest.mark.filterwarnings("ignore:Downcasting")
def test_columns_of_pixels_become_images():
    stored = Image().cast_storage(pa.array([PIXELS.tolist(), None]))
    assert stored.type == Image()()
    np.testing.assert_array_equal(np.array(Image().decode_example(stored[0].as_py())), PIXELS)


def test_images_need_pil_only_when_they_are_seen():
    code = (
        "import sys; from madang.datasets.features import Image, encoder, inferred; Image().encode_example('a.png'); "
    )
    code += "inferred([1]); assert not {'PIL', 'torch', 'pandas', 'soundfile', 'yaml', 'fsspec'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
