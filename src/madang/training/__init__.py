"""Learning: a loop one can read, and the familiar Trainer on top of it."""

from madang.training.arguments import TrainingArguments
from madang.training.callbacks import PrinterCallback, ProgressCallback, TrainerCallback, TrainerControl, TrainerState
from madang.training.collate import (
    DataCollatorForLanguageModeling,
    DataCollatorForSeq2Seq,
    DataCollatorForTokenClassification,
    DataCollatorWithPadding,
    default_data_collator,
)
from madang.training.optimizer import AdamW
from madang.training.results import EvalPrediction, PredictionOutput, TrainOutput
from madang.training.schedule import (
    get_constant_schedule,
    get_constant_schedule_with_warmup,
    get_cosine_schedule_with_warmup,
    get_linear_schedule_with_warmup,
    get_scheduler,
)
from madang.training.seed import set_seed
from madang.training.trainer import Trainer

__all__ = [
    "AdamW",
    "DataCollatorForLanguageModeling",
    "DataCollatorForSeq2Seq",
    "DataCollatorForTokenClassification",
    "DataCollatorWithPadding",
    "EvalPrediction",
    "PredictionOutput",
    "PrinterCallback",
    "ProgressCallback",
    "TrainOutput",
    "Trainer",
    "TrainerCallback",
    "TrainerControl",
    "TrainerState",
    "TrainingArguments",
    "default_data_collator",
    "get_constant_schedule",
    "get_constant_schedule_with_warmup",
    "get_cosine_schedule_with_warmup",
    "get_linear_schedule_with_warmup",
    "get_scheduler",
    "set_seed",
]
