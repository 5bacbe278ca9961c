"""Sounds: stored as files, seen as arrays of samples."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pyarrow as pa

from madang.datasets.features import media, sound
from madang.datasets.features.value import Value
from madang.errors import InputError, UnknownKeyError, WrongTypeError


class AudioSamples(NamedTuple):
    """What `Sound.get_all_samples()` returns: `data` is a float32 tensor (channels, time)."""

    data: Any
    pts_seconds: float
    duration_seconds: float
    sample_rate: int


class Sound(dict[str, Any]):
    """A decoded sound: a dict of `array` (float32), `sampling_rate` and `path`, as before version 4.

    Version 4's way to ask works too: `get_all_samples()` and `get_samples_played_in_range(start, stop)`.
    """

    def __init__(self, path: str | None, array: Any, rate: int, channels: sound.Samples, stored: Any) -> None:
        super().__init__(path=path, array=array, sampling_rate=rate)
        self._channels, self._stored, self._decoded = channels, stored, (array, rate)

    def get_all_samples(self) -> AudioSamples:
        """All channels as a torch tensor; needs torch."""
        return self.get_samples_played_in_range(0.0)

    def get_samples_played_in_range(
        self, start_seconds: float = 0.0, stop_seconds: float | None = None
    ) -> AudioSamples:
        """The samples of a span of time as a torch tensor; needs torch."""
        import torch

        rate = self._decoded[1]
        stop = None if stop_seconds is None else round(stop_seconds * rate)
        chosen = self._channels[:, round(start_seconds * rate) : stop]
        return AudioSamples(torch.from_numpy(chosen.copy()), start_seconds, chosen.shape[1] / rate, rate)

    @property
    def stored(self) -> Any:
        """What it was decoded from, while array and sampling rate are still those of the file; else None."""
        array, rate = self._decoded
        return self._stored if self.get("array") is array and self.get("sampling_rate") == rate else None


@dataclass
class Audio:
    """A sound per row. Give a path, the bytes of a file, or `{"array": …, "sampling_rate": …}`.

    It comes back as `{"array", "sampling_rate", "path"}`, float32 from -1 to 1, at `sampling_rate` when that is given;
    one axis of time, channels averaged, or (channels, time) with `mono=False`. `num_channels` and `stream_index` are
    version 4's ways to choose. With `decode=False` it comes back as what is stored: `{"bytes": …, "path": …}`.
    """

    sampling_rate: int | None = None
    decode: bool = True
    num_channels: int | None = None
    stream_index: int | None = None
    mono: bool = field(default=True, repr=False)
    id: str | None = field(default=None, repr=False)
    dtype: ClassVar[str] = "dict"
    pa_type: ClassVar[Any] = media.STORAGE
    _type: ClassVar[str] = "Audio"

    def __call__(self) -> pa.DataType:
        """The Arrow type values are stored in."""
        return self.pa_type

    def arrow_type(self) -> pa.DataType:
        """The Arrow type values are stored in."""
        return self.pa_type

    def encode_example(self, value: Any) -> dict[str, Any]:
        """What is stored for a sound: `{"path": …, "bytes": …}`. Samples become a WAV file of 16 bits."""
        if isinstance(value, Sound) and value.stored is not None:
            return dict(value.stored)
        if isinstance(value, Mapping) and value.get("array") is not None:
            if value.get("sampling_rate") is None:
                raise UnknownKeyError("a sound given as an 'array' needs its 'sampling_rate' beside it.")
            return {"path": None, "bytes": sound.write_wav(_samples(value["array"]), value["sampling_rate"])}
        if isinstance(value, Mapping) and str(value.get("path")).endswith(".pcm"):
            return _from_pcm(value)
        if not isinstance(value, (Mapping, str, bytes)) and hasattr(value, "get_all_samples"):  # torchcodec's decoder
            samples = value.get_all_samples()
            return {"path": None, "bytes": sound.write_wav(_samples(samples.data), samples.sample_rate)}
        stored = media.encode_file(value, "a sound")
        if stored is None:
            raise WrongTypeError(
                f"a sound is a path, bytes or a dict of 'array' and 'sampling_rate', not {type(value).__name__}."
            )
        return stored

    def decode_example(self, value: Mapping[str, Any], token_per_repo_id: Mapping[str, Any] | None = None) -> Sound:
        """The samples of a stored value. `token_per_repo_id` opens files of private repositories."""
        if not self.decode:
            raise media.DecodingOffError("this column is not decoded; cast it to Audio(decode=True) first.")
        path, content = media.stored_parts(value, "a sound")
        if content is None:
            assert path is not None
            content = media.read_file(path, token_per_repo_id)
        channels, rate = sound.read(content, repr(path) if path else f"of {len(content)} bytes", self.stream_index)
        if self.num_channels is not None:
            channels = sound.with_channels(channels, self.num_channels)
        if self.sampling_rate is not None and self.sampling_rate != rate:
            channels, rate = sound.resample(channels, rate, self.sampling_rate), self.sampling_rate
        array = sound.with_channels(channels, 1)[0] if self.mono or len(channels) == 1 else channels
        return Sound(path, array, rate, channels, {"path": path, "bytes": value.get("bytes")})

    def flatten(self) -> Any:
        """The features of its members, or itself while sounds are decoded."""
        return self if self.decode else {"bytes": Value("binary"), "path": Value("string")}

    def cast_storage(self, array: pa.Array) -> pa.Array:
        """Paths, bytes or structs as the struct that is stored."""
        return media.cast_storage(array)

    def embed_storage(self, array: pa.Array, token_per_repo_id: Mapping[str, Any] | None = None) -> pa.Array:
        """The same with the contents of the files in `bytes`."""
        return media.embed_storage(array, token_per_repo_id)


def _samples(array: Any) -> np.ndarray[Any, Any]:
    return np.asarray(array.detach().cpu() if hasattr(array, "detach") else array)


def _from_pcm(value: Mapping[str, Any]) -> dict[str, Any]:
    """A .pcm file is bare int16 samples: its sampling rate must be told, and stands in the WAV file it becomes."""
    if value.get("sampling_rate") is None:
        raise UnknownKeyError(f"{value['path']!r} has no header; give its 'sampling_rate' beside the path.")
    content = value.get("bytes")
    if content is None:
        content = media.read_file(value["path"])
    if len(content) % 2:
        raise InputError(f"{value['path']!r} has an odd number of bytes, and a sample has two.")
    return {"path": None, "bytes": sound.write_wav(np.frombuffer(content, "<i2"), value["sampling_rate"])}
