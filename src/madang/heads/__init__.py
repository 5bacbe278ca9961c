"""What a task adds on top of a body: an answer, and how far it is from the labels."""

from madang.heads.head import Head
from madang.heads.language import CausalLanguage, MaskedLanguage, SequenceToSequenceLanguage
from madang.heads.multiple_choice import MultipleChoice
from madang.heads.question_answering import QuestionAnswering
from madang.heads.sequence import SequenceClassification
from madang.heads.token import TokenClassification

__all__ = [
    "CausalLanguage",
    "Head",
    "MaskedLanguage",
    "MultipleChoice",
    "QuestionAnswering",
    "SequenceClassification",
    "SequenceToSequenceLanguage",
    "TokenClassification",
]
