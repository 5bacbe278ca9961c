"""Images: stored as files, seen as PIL images."""

import io
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from madang.datasets.features import media
from madang.datasets.features.value import Value
from madang.errors import WrongTypeError
from madang.notices import notice

# the one-channel arrays that Pillow takes as they are
_ONE_CHANNEL = ("b1", "u1", "u2", "i2", "u4", "i4", "f4", "f8")


@dataclass
class Image:
    """An image per row. Give a path, the bytes of a file, a PIL image or a numpy array (height, width[, channels]).

    It comes back as a PIL image, turned the way its camera says, in `mode` ("RGB", "L", …) when that is given; with
    `decode=False` as what is stored: `{"bytes": …, "path": …}`.
    """

    mode: str | None = None
    decode: bool = True
    id: str | None = None
    dtype: ClassVar[str] = "PIL.Image.Image"
    pa_type: ClassVar[Any] = media.STORAGE
    _type: ClassVar[str] = "Image"

    def __repr__(self) -> str:
        return f"Image(mode={self.mode!r}, decode={self.decode})"

    def __call__(self) -> pa.DataType:
        """The Arrow type values are stored in."""
        return self.pa_type

    def arrow_type(self) -> pa.DataType:
        """The Arrow type values are stored in."""
        return self.pa_type

    def encode_example(self, value: Any) -> dict[str, Any]:
        """What is stored for an image: `{"path": …, "bytes": …}`."""
        if isinstance(value, (list, tuple)):
            value = np.array(value)
        if hasattr(value, "detach"):
            value = value.detach().cpu().numpy()
        if isinstance(value, np.ndarray):
            return encode_np_array(value)
        if is_pil_image(value):
            return encode_pil_image(value)
        stored = media.encode_file(value, "an image")
        if stored is None:
            raise WrongTypeError(f"an image is a path, bytes, a PIL image or an array, not {type(value).__name__}.")
        return stored

    def decode_example(self, value: Mapping[str, Any], token_per_repo_id: Mapping[str, Any] | None = None) -> Any:
        """The PIL image of a stored value. `token_per_repo_id` opens files of private repositories."""
        if not self.decode:
            raise media.DecodingOffError("this column is not decoded; cast it to Image(decode=True) first.")
        import PIL.ExifTags
        import PIL.Image
        import PIL.ImageOps

        path, content = media.stored_parts(value, "an image")
        source: Any = path
        if content is not None:
            source = io.BytesIO(content)
        elif path is not None and (media.is_remote(path) or not os.path.isfile(path)):
            source = io.BytesIO(media.read_file(path, token_per_repo_id))  # or says that it is missing
        image: Any = PIL.Image.open(source)
        image.load()  # closes the file: a column of images would keep too many open
        if image.getexif().get(PIL.ExifTags.Base.Orientation) is not None:
            image = PIL.ImageOps.exif_transpose(image)
        return image.convert(self.mode) if self.mode and self.mode != image.mode else image

    def flatten(self) -> Any:
        """The features of its members, or itself while images are decoded."""
        return self if self.decode else {"bytes": Value("binary"), "path": Value("string")}

    def cast_storage(self, array: pa.Array) -> pa.Array:
        """Paths, bytes, arrays of pixels or structs as the struct that is stored."""
        return media.cast_storage(array, encode_np_array)

    def embed_storage(self, array: pa.Array, token_per_repo_id: Mapping[str, Any] | None = None) -> pa.Array:
        """The same with the contents of the files in `bytes`."""
        return media.embed_storage(array, token_per_repo_id)


def is_pil_image(value: Any) -> bool:
    """Whether `value` is a PIL image, without importing PIL."""
    module = sys.modules.get("PIL.Image")
    return module is not None and isinstance(value, module.Image)


def image_to_bytes(image: Any) -> bytes:
    """A PIL image as a file: in the format it came in, else as PNG, or TIFF where PNG has no such mode."""
    import PIL.Image

    PIL.Image.init()
    buffer = io.BytesIO()
    if image.format in PIL.Image.OPEN and image.format in PIL.Image.SAVE:
        kind = image.format
    else:
        kind = "PNG" if image.mode in ("1", "L", "LA", "RGB", "RGBA") else "TIFF"
    image.save(buffer, format=kind)
    return buffer.getvalue()


def encode_pil_image(image: Any) -> dict[str, Any]:
    """What is stored for a PIL image: the path of the file it is, else the bytes of one."""
    if getattr(image, "filename", ""):
        return {"path": image.filename, "bytes": None}
    return {"path": None, "bytes": image_to_bytes(image)}


def encode_np_array(array: np.ndarray[Any, Any]) -> dict[str, Any]:
    """What is stored for pixels, (height, width) or (height, width, channels): a PNG, or a TIFF for wide numbers.

    Whole numbers wider than Pillow's are narrowed with a warning; raises WrongTypeError when they do not fit.
    """
    import PIL.Image

    kind = _pixel_kind(array)
    if kind != array.dtype:
        notice(f"Downcasting array dtype {array.dtype} to {kind}, which is what Pillow can store.")
        narrow = array.astype(kind)
        if kind.kind in "ui" and not (narrow == array).all():
            raise WrongTypeError(
                f"pixels of {array.dtype} from {array.min()} to {array.max()} do not fit into {kind}; scale them first."
            )
        array = narrow
    return {"path": None, "bytes": image_to_bytes(PIL.Image.fromarray(np.ascontiguousarray(array)))}


def _pixel_kind(array: np.ndarray[Any, Any]) -> np.dtype[Any]:
    """The type in which Pillow takes these pixels."""
    kind: np.dtype[Any] = array.dtype
    if array.ndim > 2:
        if kind.kind in "ui":
            return np.dtype(np.uint8)
        raise WrongTypeError(f"an image of several channels has whole numbers from 0 to 255, not {kind}.")
    sizes = [int(name[1:]) for name in _ONE_CHANNEL if name[0] == kind.kind]
    if not sizes:
        raise WrongTypeError(f"an image has whole numbers or fractions, not {kind}.")
    if kind.itemsize in sizes:
        return kind
    size = max((size for size in sizes if size < kind.itemsize), default=sizes[0])
    found: np.dtype[Any] = np.dtype(f"{kind.kind}{size}")
    return found
