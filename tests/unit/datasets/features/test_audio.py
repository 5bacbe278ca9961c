from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from madang.datasets.features import Audio, sound
from madang.datasets.features.audio import Sound

TONE = np.sin(np.arange(800) / 7).astype(np.float32)


@pytest.fixture
def path(tmp_path):
    (tmp_path / "a.wav").write_bytes(sound.write_wav(TONE, 8000))
    return str(tmp_path / "a.wav")


@pytest.mark.parametrize(
    "given",
    [
        lambda path: path,
        lambda path: Path(path).read_bytes(),
        lambda path: {"path": path, "bytes": None},
        lambda path: {"path": "inside/an/archive.wav", "bytes": Path(path).read_bytes()},
        lambda path: {"array": TONE, "sampling_rate": 8000},
        lambda path: {"array": TONE.tolist(), "sampling_rate": 8000, "path": "elsewhere.wav"},
    ],
)
def test_a_sound_comes_back_however_it_was_given(given, path):
    decoded = Audio().decode_example(Audio().encode_example(given(path)))
    assert decoded.keys() == {"path", "array", "sampling_rate"}
    assert decoded["sampling_rate"] == 8000
    assert decoded["array"].dtype == np.float32
    np.testing.assert_allclose(decoded["array"], TONE, atol=2**-14)


def test_a_sound_comes_at_the_rate_asked_for(path):
    decoded = Audio(sampling_rate=16000).decode_example({"path": path, "bytes": None})
    assert decoded["sampling_rate"] == 16000
    assert decoded["array"].shape == (1600,)
    assert decoded["path"] == path


def test_channels_are_averaged_unless_asked_for():
    stored = Audio().encode_example({"array": np.stack([TONE, TONE / 2]), "sampling_rate": 8000})
    np.testing.assert_allclose(Audio().decode_example(stored)["array"], TONE * 0.75, atol=1e-4)
    assert Audio(mono=False).decode_example(stored)["array"].shape == (2, 800)
    assert Audio(num_channels=1).decode_example(stored)["array"].shape == (800,)


def test_bare_samples_need_their_rate(tmp_path):
    path = tmp_path / "a.pcm"
    path.write_bytes(np.array([0, 100, -100], "<i2").tobytes())
    stored = Audio().encode_example({"path": str(path), "sampling_rate": 8000})
    assert stored["path"] is None
    assert Audio().decode_example(stored)["array"].tolist() == [0, 100 / 2**15, -100 / 2**15]
    assert Audio().encode_example({"path": str(path), "bytes": path.read_bytes(), "sampling_rate": 8000}) == stored
    with pytest.raises(KeyError, match="sampling_rate"):
        Audio().encode_example({"path": str(path)})
    with pytest.raises(ValueError, match="odd number of bytes"):
        Audio().encode_example({"path": str(path), "bytes": b"123", "sampling_rate": 8000})


def test_what_is_no_sound_is_refused():
    with pytest.raises(TypeError, match="not int"):
        Audio().encode_example(5)
    with pytest.raises(KeyError, match="'sampling_rate'"):
        Audio().encode_example({"array": TONE})
    with pytest.raises(ValueError, match="both are None"):
        Audio().decode_example({"path": None, "bytes": None})
    with pytest.raises(RuntimeError, match="decode=True"):
        Audio(decode=False).decode_example({"path": "a", "bytes": None})
    with pytest.raises(FileNotFoundError, match=r"no file 'gone.wav'"):
        Audio().decode_example({"path": "gone.wav", "bytes": None})
    with pytest.raises(ValueError, match="the sound of 3 bytes cannot be decoded"):
        Audio().decode_example({"path": None, "bytes": b"abc"})


class TestSound:
    @pytest.fixture
    def decoded(self, path):
        return Audio().decode_example({"path": path, "bytes": None})

    def test_an_unchanged_sound_is_stored_as_it_was(self, decoded, path):
        assert Audio().encode_example(decoded) == {"path": path, "bytes": None}

    def test_a_changed_sound_is_written_anew(self, decoded, path):
        decoded["array"] = decoded["array"] / 2
        stored = Audio().encode_example(decoded)
        assert stored["path"] is None
        np.testing.assert_allclose(Audio().decode_example(stored)["array"], TONE / 2, atol=2**-14)

    def test_it_can_be_asked_as_version_4_is(self, decoded):
        torch = pytest.importorskip("torch")
        everything = decoded.get_all_samples()
        assert everything.data.shape == (1, 800)
        assert everything.data.dtype == torch.float32
        assert (everything.sample_rate, everything.duration_seconds) == (8000, 0.1)
        assert decoded.get_samples_played_in_range(0.05, 0.075).data.shape == (1, 200)

    def test_it_is_a_dict(self, decoded):
        assert isinstance(decoded, dict)
        assert isinstance(decoded, Sound)


def test_paths_become_sounds_without_reading_them():
    assert Audio().cast_storage(pa.array(["gone.wav", None])).to_pylist() == [{"bytes": None, "path": "gone.wav"}, None]
