"""Learning: a loop one can read, and the familiar Trainer on top of it."""

from madang.training.adafactor import Adafactor
from madang.training.arguments import TrainingArguments
from madang.training.callbacks import TrainerCallback, TrainerControl, TrainerState
from madang.training.collate import (
    DataCollatorForLanguageModeling,
    DataCollatorForMultipleChoice,
    DataCollatorForSeq2Seq,
    DataCollatorForTokenClassification,
    DataCollatorForWholeWordMask,
    DataCollatorWithFlattening,
    DataCollatorWithPadding,
    DefaultDataCollator,
    default_data_collator,
)
from madang.training.early_stopping import EarlyStoppingCallback
from madang.training.lion import Lion
from madang.training.optimizer import AdamW
from madang.training.progress import PrinterCallback, ProgressCallback
from madang.training.results import EvalLoopOutput, EvalPrediction, PredictionOutput, TrainOutput
from madang.training.schedule import (
    SchedulerType,
    get_constant_schedule,
    get_constant_schedule_with_warmup,
    get_cosine_schedule_with_warmup,
    get_cosine_with_hard_restarts_schedule_with_warmup,
    get_cosine_with_min_lr_schedule_with_warmup,
    get_inverse_sqrt_schedule,
    get_linear_schedule_with_warmup,
    get_polynomial_decay_schedule_with_warmup,
    get_reduce_on_plateau_schedule,
    get_scheduler,
    get_wsd_schedule,
)
from madang.training.search import BestRun
from madang.training.seed import enable_full_determinism, set_seed
from madang.training.seq2seq import Seq2SeqTrainer, Seq2SeqTrainingArguments
from madang.training.trainer import Trainer

__all__ = [
    "Adafactor",
    "AdamW",
    "BestRun",
    "DataCollatorForLanguageModeling",
    "DataCollatorForMultipleChoice",
    "DataCollatorForSeq2Seq",
    "DataCollatorForTokenClassification",
    "DataCollatorForWholeWordMask",
    "DataCollatorWithFlattening",
    "DataCollatorWithPadding",
    "DefaultDataCollator",
    "EarlyStoppingCallback",
    "EvalLoopOutput",
    "EvalPrediction",
    "Lion",
    "PredictionOutput",
    "PrinterCallback",
    "ProgressCallback",
    "SchedulerType",
    "Seq2SeqTrainer",
    "Seq2SeqTrainingArguments",
    "TrainOutput",
    "Trainer",
    "TrainerCallback",
    "TrainerControl",
    "TrainerState",
    "TrainingArguments",
    "default_data_collator",
    "enable_full_determinism",
    "get_constant_schedule",
    "get_constant_schedule_with_warmup",
    "get_cosine_schedule_with_warmup",
    "get_cosine_with_hard_restarts_schedule_with_warmup",
    "get_cosine_with_min_lr_schedule_with_warmup",
    "get_inverse_sqrt_schedule",
    "get_linear_schedule_with_warmup",
    "get_polynomial_decay_schedule_with_warmup",
    "get_reduce_on_plateau_schedule",
    "get_scheduler",
    "get_wsd_schedule",
    "set_seed",
]
