"""Sound as numbers: reading and writing WAV without any library, reading the rest with one, another sampling rate.

Samples are float32 arrays of shape (channels, time), from -1 to 1.
"""

import io
import math
import struct
from importlib import import_module
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from madang.errors import InputError, WrongTypeError

Samples = np.ndarray[Any, np.dtype[np.float32]]

_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE  # numbers of formats in a WAV header


def read(content: bytes, name: str, stream: int | None = None) -> tuple[Samples, int]:
    """Samples and sampling rate of a sound file: WAV by ourselves, others by soundfile, torchcodec or av (PyAV).

    `stream` chooses one of several in the file. `name` is what errors call it.
    """
    if content[:4] == b"RIFF" and content[8:12] == b"WAVE":
        try:
            return _read_wav(content)
        except InputError:
            pass  # compressed: perhaps a library knows it
    failed = []
    for library, decode in (("soundfile", _by_soundfile), ("torchcodec", _by_torchcodec), ("av", _by_av)):
        try:
            return decode(content, stream)
        except (
            ImportError,
            RuntimeError,
            OSError,
            ValueError,
            IndexError,
        ) as error:  # not installed, or not its format
            failed.append(f"{library}: {str(error).splitlines()[0] if str(error) else type(error).__name__}")
    raise InputError(
        f"the sound {name} cannot be decoded. WAV needs no library; for others install soundfile "
        f"(`pip install soundfile`). Tried: {'; '.join(failed)}."
    )


def _read_wav(content: bytes) -> tuple[Samples, int]:
    """PCM of 8 to 32 bits and floats."""
    at, header = 12, b""
    while at + 8 <= len(content):
        name, size = content[at : at + 4], int.from_bytes(content[at + 4 : at + 8], "little")
        if name == b"fmt ":
            header = content[at + 8 : at + 8 + size]
        if name == b"data":
            break
        at += 8 + size + size % 2
    if len(header) < 16 or at + 8 > len(content):
        raise InputError("the WAV file has no header or no data.")
    kind, channels, rate, _, _, bits = struct.unpack("<HHIIHH", header[:16])
    if kind == _EXTENSIBLE and len(header) >= 26:
        kind = int.from_bytes(header[24:26], "little")
    # a stream of unknown length says 0 or the largest number there is
    data = content[at + 8 : at + 8 + size] if size else content[at + 8 :]
    values = _numbers(data[: len(data) // (frame := max(1, channels * bits // 8)) * frame], kind, bits)
    if channels < 1 or rate < 1:
        raise InputError(f"the WAV file says it has {channels} channels at {rate} Hz.")
    return np.ascontiguousarray(values.reshape(-1, channels).T), rate


def _numbers(data: bytes, kind: int, bits: int) -> Samples:
    if kind == _FLOAT and bits in (32, 64):
        return np.frombuffer(data, f"<f{bits // 8}").astype(np.float32)
    if kind == _PCM and bits == 8:
        return (np.frombuffer(data, "u1").astype(np.float32) - np.float32(128)) / np.float32(128)
    if kind == _PCM and bits in (16, 32):
        return np.frombuffer(data, f"<i{bits // 8}").astype(np.float32) / np.float32(2 ** (bits - 1))
    if kind == _PCM and bits == 24:
        parts = np.frombuffer(data, "u1").reshape(-1, 3)
        wide = np.zeros((len(parts), 4), "u1")
        wide[:, 1:] = parts  # the three bytes on top of four: the sign comes right
        return wide.view("<i4").reshape(-1).astype(np.float32) / np.float32(2**31)
    raise InputError(f"WAV of format {kind} with {bits} bits is not plain PCM.")


def write_wav(samples: Any, rate: int) -> bytes:
    """A WAV file of 16 bits from samples (time,), (channels, time) or (time, channels), -1 to 1 or int16."""
    values = np.asarray(samples)
    if values.ndim not in (1, 2):
        raise WrongTypeError(f"a sound is an array of one or two axes, not of shape {values.shape}.")
    if values.ndim == 2 and values.shape[0] < values.shape[1]:  # there is more time than channels
        values = values.T
    if values.dtype.kind == "f" or values.size == 0:
        values = np.clip(np.round(values.astype(np.float64) * 2**15), -(2**15), 2**15 - 1)
    elif values.dtype != np.int16:
        raise WrongTypeError(f"samples are fractions from -1 to 1 or int16, not {values.dtype}.")
    data = np.ascontiguousarray(values, dtype="<i2").tobytes()
    channels = values.shape[1] if values.ndim == 2 else 1
    header = struct.pack("<HHIIHH", _PCM, channels, int(rate), int(rate) * channels * 2, channels * 2, 16)
    body = b"WAVEfmt " + struct.pack("<I", 16) + header + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


def with_channels(samples: Samples, count: int) -> Samples:
    """One channel as the mean of all, or one channel repeated."""
    if len(samples) == count:
        return samples
    if count == 1:
        return np.asarray(samples.mean(axis=0, keepdims=True), dtype=np.float32)
    if len(samples) == 1:
        return np.repeat(samples, count, axis=0)
    raise InputError(f"the sound has {len(samples)} channels, which cannot become {count}.")


def resample(samples: Samples, old: int, new: int) -> Samples:
    """The same sound at another sampling rate: windowed-sinc interpolation (J. O. Smith, "Digital Audio Resampling").

    Length becomes ceil(length * new / old).
    """
    if old == new:
        return samples
    up, down = new // math.gcd(old, new), old // math.gcd(old, new)
    length, count = samples.shape[-1], -(-samples.shape[-1] * up // down)
    cutoff = 0.945 * min(1.0, up / down)  # a little below the lower of both Nyquist rates, where the filter falls off
    half = math.ceil(32 / cutoff)  # 32 zero crossings of the sinc to each side
    reach = np.arange(1 - half, half + 1)
    padded = np.pad(samples, [(0, 0)] * (samples.ndim - 1) + [(half - 1, half + 1)])
    windows = sliding_window_view(padded, 2 * half, axis=-1)
    made = np.empty((*samples.shape[:-1], count), np.float32)
    for phase in range(min(up, count)):
        # outputs phase, phase + up, … lie at the same distance after an input sample: they share a filter
        start, after = divmod(phase * down, up)
        time = reach - after / up
        window = np.i0(14.77 * np.sqrt(np.clip(1 - (time / half) ** 2, 0, 1))) / np.i0(14.77)
        kernel = (cutoff * np.sinc(cutoff * time) * window).astype(np.float32)
        places = made[..., phase::up].shape[-1]
        made[..., phase::up] = windows[..., start : min(length, start + places * down) : down, :] @ kernel
    return made


def _by_soundfile(content: bytes, stream: int | None) -> tuple[Samples, int]:
    values, rate = import_module("soundfile").read(io.BytesIO(content), dtype="float32", always_2d=True)
    return np.ascontiguousarray(values.T), int(rate)


def _by_torchcodec(content: bytes, stream: int | None) -> tuple[Samples, int]:
    samples = import_module("torchcodec.decoders").AudioDecoder(content, stream_index=stream).get_all_samples()
    return samples.data.numpy(), int(samples.sample_rate)


def _by_av(content: bytes, stream: int | None) -> tuple[Samples, int]:
    library = import_module("av")
    with library.open(io.BytesIO(content)) as container:
        chosen = container.streams.audio[stream or 0]
        planes = library.AudioResampler(format="fltp")
        frames = [part for frame in container.decode(chosen) for part in planes.resample(frame)]
        return np.concatenate([frame.to_ndarray() for frame in frames], axis=1), int(chosen.rate)
