import io
import struct
import wave

import numpy as np
import pytest

from madang.datasets.features import sound

TIME = np.linspace(-1, 1, 50, dtype=np.float32)
STEREO = np.stack([TIME, -TIME / 2])


def wav(kind, bits, data, channels=1, rate=8000, extensible=False, before=b""):
    """A WAV file with any header."""
    header = struct.pack("<HHIIHH", 0xFFFE if extensible else kind, channels, rate, 0, 0, bits)
    if extensible:
        header += struct.pack("<HHIH", 22, bits, 0, kind) + b"\0" * 14
    body = b"WAVE" + before + b"fmt " + struct.pack("<I", len(header)) + header
    return b"RIFF" + struct.pack("<I", 0) + body + b"data" + struct.pack("<I", len(data)) + data


@pytest.mark.parametrize("extensible", [False, True])
@pytest.mark.parametrize(
    ("kind", "bits", "data", "step"),
    [
        (1, 8, ((TIME * 127) + 128).astype("u1").tobytes(), 2**-6),
        (1, 16, (TIME * 32767).astype("<i2").tobytes(), 2**-14),
        (1, 24, b"".join(int(v * 8388607).to_bytes(3, "little", signed=True) for v in TIME), 2**-22),
        (1, 32, (TIME.astype(float) * (2**31 - 1)).astype("<i4").tobytes(), 2**-23),
        (3, 32, TIME.astype("<f4").tobytes(), 0),
        (3, 64, TIME.astype("<f8").tobytes(), 0),
    ],
)
def test_every_plain_wav_is_read(kind, bits, data, step, extensible):
    samples, rate = sound.read(wav(kind, bits, data, extensible=extensible, before=b"LIST\x03\0\0\0abc\0"), "a.wav")
    assert rate == 8000
    assert samples.dtype == np.float32
    np.testing.assert_allclose(samples[0], TIME, atol=step)


def test_a_wav_of_unknown_length_and_half_a_sample_is_read_to_its_end():
    content = wav(1, 16, b"\x01\0" * 4)
    for length in (b"\0\0\0\0", b"\xff\xff\xff\xff"):
        assert sound.read(content[:-12] + length + content[-8:] + b"\x01", "a.wav")[0].shape == (1, 4)


@pytest.mark.parametrize("given", [STEREO, STEREO.T])
def test_what_is_written_is_a_wav_others_read(given):
    content = sound.write_wav(given, 16000)
    with wave.open(io.BytesIO(content)) as file:
        assert file.getparams()[:4] == (2, 2, 16000, 50)
    samples, rate = sound.read(content, "a.wav")
    assert rate == 16000
    np.testing.assert_allclose(samples, STEREO, atol=2**-14)
    assert sound.write_wav(samples, 16000) == content


def test_int16_is_written_as_it_is_and_loud_sound_is_clipped():
    assert sound.read(sound.write_wav(np.array([-(2**15), 5], np.int16), 8), "a")[0].tolist() == [[-1, 5 / 2**15]]
    assert sound.read(sound.write_wav([2.0, -2.0], 8), "a")[0].tolist() == [[1 - 2**-15, -1]]
    assert sound.read(sound.write_wav([], 8), "a")[0].shape == (1, 0)


@pytest.mark.parametrize("samples", [np.zeros((2, 2, 2)), np.zeros(3, np.int32)])
def test_what_is_no_sound_is_not_written(samples):
    with pytest.raises(TypeError, match=r"samples|sound"):
        sound.write_wav(samples, 8000)


@pytest.mark.parametrize("content", [b"", b"ID3...", b"RIFF1234WAVE", wav(85, 16, b"1234")])
def test_what_cannot_be_read_says_what_was_tried(content):
    with pytest.raises(ValueError, match=r"the sound 'a.mp3' cannot be decoded.*soundfile.*Tried: soundfile: "):
        sound.read(content, "'a.mp3'")


def test_channels_are_averaged_or_repeated():
    np.testing.assert_allclose(sound.with_channels(STEREO, 1), [TIME / 4], atol=1e-6)
    assert sound.with_channels(STEREO[:1], 3).shape == (3, 50)
    assert sound.with_channels(STEREO, 2) is STEREO
    with pytest.raises(ValueError, match="2 channels, which cannot become 3"):
        sound.with_channels(STEREO, 3)


@pytest.mark.parametrize(("old", "new"), [(44100, 16000), (16000, 48000), (8000, 44100), (48000, 16000)])
def test_resampling_keeps_a_tone(old, new):
    seconds, pitch = 0.3, 440.0
    tone = np.sin(2 * np.pi * pitch * np.arange(round(old * seconds)) / old).astype(np.float32)
    made = sound.resample(np.stack([tone, -tone]), old, new)
    assert made.shape == (2, int(np.ceil(len(tone) * new / old)))
    assert made.dtype == np.float32
    wanted = np.sin(2 * np.pi * pitch * np.arange(made.shape[1]) / new)
    inside = slice(made.shape[1] // 10, -made.shape[1] // 10)  # at the ends half of the filter sees silence
    np.testing.assert_allclose(made[0, inside], wanted[inside], atol=2e-4)
    np.testing.assert_array_equal(made[1], -made[0])


def test_resampling_down_takes_away_what_the_lower_rate_cannot_hold():
    tone = np.sin(2 * np.pi * 7000 * np.arange(4800) / 48000).astype(np.float32)
    assert np.abs(sound.resample(tone, 48000, 12000)[100:-100]).max() < 1e-3


def test_the_same_rate_changes_nothing():
    assert sound.resample(STEREO, 8000, 8000) is STEREO


def test_short_sounds_can_be_resampled():
    assert sound.resample(np.ones((1, 1), np.float32), 8000, 48000).shape == (1, 6)
    assert sound.resample(np.ones((1, 0), np.float32), 8000, 48000).shape == (1, 0)
