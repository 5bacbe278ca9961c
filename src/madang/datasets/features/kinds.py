"""What the types of Arrow hold, however wide their offsets are."""

import pyarrow as pa


def is_text(kind: pa.DataType) -> bool:
    """Whether it holds texts. Code that reads buffers or calls Arrow's functions for text must not meet a view."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def is_list(kind: pa.DataType) -> bool:
    """Whether it holds lists, of any or of one length."""
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def is_number(kind: pa.DataType) -> bool:
    """Whether it holds integers or floats: no truth values, no decimals."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))
