"""What the columns of a table hold: values, classes, lists, structs, arrays, images, sounds; and how files remember it.

A `Features` is a dict of column name -> feature. Arrow knows the storage; what it cannot know (the names of the
classes) lies in the schema's metadata under the key `huggingface`, as the datasets package writes it, so that Arrow
and Parquet files move both ways.

A feature is a dataclass with a name for files (`_type`), `arrow_type()`, and as it needs them `encode_example` (a
user's value to a storable one), `decode_example` (back), `cast_storage` (Arrow to Arrow), `embed_storage` (contents
of files), `flatten` (its members). Dicts are structs.
"""

from madang.datasets.features.arrays import Array2D, Array3D, Array4D, Array5D
from madang.datasets.features.audio import Audio
from madang.datasets.features.class_label import ClassLabel
from madang.datasets.features.embedding import embed, embeds
from madang.datasets.features.encoding import decoder, encoder, inferred
from madang.datasets.features.features import Features, aligned
from madang.datasets.features.image import Image
from madang.datasets.features.json import Json
from madang.datasets.features.lists import LargeList, List, Sequence
from madang.datasets.features.storage import METADATA_KEY, arrow_type, from_arrow_type, register_feature
from madang.datasets.features.translation import Translation, TranslationVariableLanguages
from madang.datasets.features.value import Value

__all__ = [
    "METADATA_KEY",
    "Array2D",
    "Array3D",
    "Array4D",
    "Array5D",
    "Audio",
    "ClassLabel",
    "Features",
    "Image",
    "Json",
    "LargeList",
    "List",
    "Sequence",
    "Translation",
    "TranslationVariableLanguages",
    "Value",
    "aligned",
    "arrow_type",
    "decoder",
    "embed",
    "embeds",
    "encoder",
    "from_arrow_type",
    "inferred",
    "register_feature",
]
