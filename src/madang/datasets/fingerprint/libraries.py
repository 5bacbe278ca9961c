"""Values of libraries whose pickled form is not the same every time, or far slower than need be.

Found by the name of their class, so that no library is imported here: a value of a library shows that it is loaded.
"""

import sys
from collections.abc import Callable
from hashlib import blake2b
from typing import Any

from madang.datasets.fingerprint.objects import identified, instance, namespace
from madang.datasets.fingerprint.packages import installed, named
from madang.datasets.fingerprint.walk import Parts, RefusedError, Same, Steps, digest

# rows of a table that are hashed at a time
_ROWS = 10_000
# what calls leave on a tokenizer of the transformers package, and where it was loaded from
_LEFT_BY_CALLS = {"_tokenizer", "cache", "deprecation_warnings", "name_or_path", "_in_target_context_manager"}
# what torch.compile notes on a module
_LEFT_BY_COMPILING = {"_compiled_call_impl", "_is_torch_compile"}


def _array(value: Any) -> Parts:
    import numpy as np

    kind = b"" if type(value) in (np.ndarray, np.memmap) else (yield type(value), "the class of an array")
    parts = [b"array", kind, repr((str(value.dtype), value.shape)).encode()]
    if isinstance(value, np.ma.MaskedArray):
        parts += [(yield np.ma.getmaskarray(value), ""), (yield value.filled(), "")]
    elif value.dtype.hasobject or value.dtype.kind == "T":
        parts.append((yield np.asarray(value).ravel().tolist(), "an array of objects"))
    else:
        parts.append(digest(np.ascontiguousarray(value).reshape(-1).view(np.uint8)))
    if kind and getattr(value, "__dict__", None) and not isinstance(value, np.ma.MaskedArray):
        parts.append((yield from namespace(vars(value), "the attribute {} of an array")))
    return b"".join(parts)


def _array_scalar(value: Any) -> Parts:
    import numpy as np

    return b"number" + (yield np.asarray(value), "")


def _array_type(value: Any) -> Parts:
    yield from ()
    return b"dtype" + repr(value).encode()


def _array_function(value: Any) -> Parts:
    yield from ()
    name = value.__name__
    for at, module in sorted(sys.modules.items()):
        if getattr(module, "__dict__", {}).get(name) is value and installed(at):
            return b"ufunc" + named(value, at.partition(".")[0], name)
    raise RefusedError(f"the numpy ufunc {name!r} was made from a function that cannot be looked into")


def _vectorized(value: Any) -> Parts:
    told = (value.pyfunc, value.otypes, value.signature, sorted(map(str, value.excluded)), value.cache)
    return b"vectorize" + (yield told, "a numpy.vectorize")


def _tensor(value: Any) -> Parts:
    import torch

    kind = yield type(value), "the class of a tensor"
    plain = value.detach()
    parts = [b"tensor", kind, repr((str(plain.dtype), str(plain.layout), tuple(plain.shape))).encode()]
    try:
        if plain.is_quantized:
            parts.append(str(plain.qscheme()).encode())
            plain = plain.dequantize()
        whole = plain.to_dense() if plain.layout != torch.strided else plain
        whole = whole.resolve_conj().resolve_neg().cpu().contiguous()
        parts.append(digest(whole.reshape(-1).view(torch.uint8).numpy()))
    except (RuntimeError, NotImplementedError, TypeError) as error:
        raise RefusedError(f"a torch tensor cannot be read ({error})") from error
    return b"".join(parts)


def _random_source(value: Any) -> Parts:
    return b"generator" + str(value.device).encode() + (yield value.get_state(), "")


def _module(value: Any) -> Parts:
    return instance(value, without=_LEFT_BY_COMPILING)


def _compiled(value: Any) -> Steps:
    return Same((yield value._orig_mod, "a compiled module"))


def _jitted(value: Any) -> Parts:
    return b"jitted" + (yield (value.py_func, value.targetoptions), "a function compiled by numba")


def _frame(value: Any) -> Parts:
    parts = [b"frame", (yield type(value), "the class of a table")]
    parts.append((yield list(value.columns), "the names of a table"))
    parts.append((yield value.index, "the index of a table"))
    parts.append((yield [value.iloc[:, place].array for place in range(value.shape[1])], "the columns of a table"))
    parts.append((yield dict(value.attrs), "the attrs of a table"))
    return b"".join(parts)


def _series(value: Any) -> Parts:
    parts = [b"series", (yield type(value), "the class of a series"), (yield value.name, "the name of a series")]
    parts.append((yield value.index, "the index of a series"))
    parts.append((yield value.array, "the values of a series"))
    return b"".join(parts)


def _index(value: Any) -> Parts:
    parts = [b"index", type(value).__name__.encode(), (yield list(value.names), "the names of an index")]
    if type(value).__name__ == "RangeIndex":
        return b"".join([*parts, repr((value.start, value.stop, value.step)).encode()])
    if hasattr(value, "levels"):
        for level, codes in zip(value.levels, value.codes, strict=True):
            parts += [(yield level, "a level of an index"), (yield codes, "the codes of an index")]
        return b"".join(parts)
    return b"".join([*parts, (yield value.array, "the values of an index")])


def _column(value: Any) -> Parts:
    """The array inside a pandas column."""
    import pyarrow as pa

    parts = [b"column", str(value.dtype).encode("utf-8", "backslashreplace")]
    if type(value).__name__ in ("NumpyExtensionArray", "PandasArray"):
        return b"".join([*parts, (yield value.to_numpy(), "")])
    try:
        content = pa.array(value, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError):
        content = list(value)
    return b"".join([*parts, (yield content, "")])


class _Sink:
    """A file that only remembers the digest of what is written to it."""

    closed = False

    def __init__(self) -> None:
        self.hash = blake2b(digest_size=20)

    def write(self, data: bytes) -> int:
        self.hash.update(data)
        return len(data)

    def flush(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Nothing is open."""


def _table(value: Any) -> Parts:
    """An Arrow table or batch, however it is cut into chunks."""
    import pyarrow as pa

    yield from ()
    table = value if isinstance(value, pa.Table) else pa.table(value)
    sink = _Sink()
    with pa.ipc.new_stream(pa.PythonFile(sink, mode="w"), table.schema) as writer:
        for start in range(0, table.num_rows, _ROWS):
            writer.write_table(table.slice(start, _ROWS).combine_chunks())
    return b"table %d:" % table.num_rows + sink.hash.digest()


def _arrow_values(value: Any) -> Parts:
    import pyarrow as pa

    chunked = value if isinstance(value, pa.ChunkedArray) else pa.chunked_array([value])
    return b"values" + (yield pa.table({"": chunked}), "")


def _arrow_scalar(value: Any) -> Parts:
    import pyarrow as pa

    return b"value" + (yield pa.array([value.as_py()], value.type), "")


def _arrow_type(value: Any) -> Parts:
    """A type, field or schema, its metadata included."""
    import pyarrow as pa

    yield from ()
    if isinstance(value, pa.DataType):
        value = pa.field("", value)
    whole = pa.schema([value]) if isinstance(value, pa.Field) else value
    return b"schema" + bytes(whole.serialize())


def _polars_frame(value: Any) -> Parts:
    return b"polars" + type(value).__name__.encode() + (yield value.to_arrow(), "")


def _polars_series(value: Any) -> Parts:
    return b"polars" + str(value.name).encode() + (yield value.to_arrow(), "")


def _rust_tokenizer(value: Any) -> Parts:
    # used by itself, its padding and truncation are what its owner set
    parts = [b"tokenizer", _backend(value).encode()]
    parts.append((yield [value.padding, value.truncation], "the settings of a tokenizer"))
    return b"".join(parts)


def _backend(value: Any) -> str:
    from madang.tokenizers.content import content_digest

    try:
        return content_digest(value)
    except Exception as error:  # parts written in Python cannot be written down
        raise RefusedError(f"a tokenizer cannot be written down ({error})") from error


def _added_token(value: Any) -> Parts:
    yield from ()
    flags = (value.content, value.single_word, value.lstrip, value.rstrip, value.normalized, value.special)
    return b"token" + repr(flags).encode("utf-8", "backslashreplace")


def _transformers_tokenizer(value: Any) -> Parts:
    state = {name: item for name, item in vars(value).items() if name not in _LEFT_BY_CALLS}
    settings = dict(state.pop("init_kwargs", None) or {})
    settings.pop("name_or_path", None)
    parts = [b"tokenizer", (yield type(value), "the class of a tokenizer")]
    parts.append((yield from namespace(state, "the attribute {} of a tokenizer")))
    parts.append((yield from namespace(settings, "the setting {} of a tokenizer")))
    if getattr(value, "_tokenizer", None) is not None:
        parts.append(_backend(value._tokenizer).encode())
    return b"".join(parts)


def _spacy_pipeline(value: Any) -> Steps:
    return identified(value, lambda language: (language.config.to_str(), language.to_bytes()))


def _tiktoken(value: Any) -> Steps:
    return identified(value, lambda one: (one.name, one._pat_str, one._mergeable_ranks, one._special_tokens))


def _dataset(value: Any) -> Steps:
    return identified(value, lambda dataset: dataset._fingerprint)


KNOWN: dict[str, Callable[[Any], Steps]] = {
    "numpy:ndarray": _array,
    "numpy:generic": _array_scalar,
    "numpy:dtype": _array_type,
    "numpy:ufunc": _array_function,
    "numpy:vectorize": _vectorized,
    "torch:Tensor": _tensor,
    "torch:Generator": _random_source,
    "torch:Module": _module,
    "torch:OptimizedModule": _compiled,
    "numba:Dispatcher": _jitted,
    "pandas:DataFrame": _frame,
    "pandas:Series": _series,
    "pandas:Index": _index,
    "pandas:ExtensionArray": _column,
    "pyarrow:Table": _table,
    "pyarrow:RecordBatch": _table,
    "pyarrow:ChunkedArray": _arrow_values,
    "pyarrow:Array": _arrow_values,
    "pyarrow:Scalar": _arrow_scalar,
    "pyarrow:DataType": _arrow_type,
    "pyarrow:Field": _arrow_type,
    "pyarrow:Schema": _arrow_type,
    "polars:DataFrame": _polars_frame,
    "polars:Series": _polars_series,
    "tokenizers:Tokenizer": _rust_tokenizer,
    "tokenizers:AddedToken": _added_token,
    "transformers:PreTrainedTokenizerBase": _transformers_tokenizer,
    "spacy:Language": _spacy_pipeline,
    "tiktoken:Encoding": _tiktoken,
    "madang:Dataset": _dataset,
}
