"""From a model to a changed model: small matrices that learn beside frozen ones (LoRA)."""

from madang.adapt.adaptable import Adaptable, Adapter
from madang.adapt.config import ADAPTED_CONFIG, ADAPTER_CONFIG, LoraConfig, TaskType
from madang.adapt.files import PeftModel, is_adapter_file, load_adapter, save_adapter
from madang.adapt.lora import LoraLinear, attach, get_peft_model, with_adapter

__all__ = [
    "ADAPTED_CONFIG",
    "ADAPTER_CONFIG",
    "Adaptable",
    "Adapter",
    "LoraConfig",
    "LoraLinear",
    "PeftModel",
    "TaskType",
    "attach",
    "get_peft_model",
    "is_adapter_file",
    "load_adapter",
    "save_adapter",
    "with_adapter",
]
