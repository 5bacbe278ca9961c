"""Examples into a batch: padding, labels, masking.

Padding is told from text by lengths and attention masks, never by a token's id: the padding token may well be the
one that ends a text, and a model must learn to end.
"""

from madang.training.collate.choices import DataCollatorForMultipleChoice
from madang.training.collate.default import DefaultDataCollator, default_data_collator
from madang.training.collate.flattening import DataCollatorWithFlattening
from madang.training.collate.language import DataCollatorForLanguageModeling, DataCollatorForWholeWordMask
from madang.training.collate.padding import DataCollatorWithPadding
from madang.training.collate.rows import IGNORED
from madang.training.collate.seq2seq import DataCollatorForSeq2Seq
from madang.training.collate.tokens import DataCollatorForTokenClassification

__all__ = [
    "IGNORED",
    "DataCollatorForLanguageModeling",
    "DataCollatorForMultipleChoice",
    "DataCollatorForSeq2Seq",
    "DataCollatorForTokenClassification",
    "DataCollatorForWholeWordMask",
    "DataCollatorWithFlattening",
    "DataCollatorWithPadding",
    "DefaultDataCollator",
    "default_data_collator",
]
