"""What published tokenizer class names stand for: which inputs they give, which special tokens they expect.

A class name never decides how a text is split; that is in the files. It decides which of `token_type_ids` and
`attention_mask` people get, which special tokens are assumed when no file names them, and what is printed as its type.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from madang.tokenizers.tokenizer import PreTrainedTokenizerFast

IDS, TYPES, MASK = "input_ids", "token_type_ids", "attention_mask"
WITH_TYPES = (IDS, TYPES, MASK)
WITHOUT_TYPES = (IDS, MASK)

BERT_TOKENS = {
    "unk_token": "[UNK]",
    "sep_token": "[SEP]",
    "pad_token": "[PAD]",
    "cls_token": "[CLS]",
    "mask_token": "[MASK]",
}
DEBERTA_TOKENS = {"bos_token": "[CLS]", "eos_token": "[SEP]", **BERT_TOKENS}
# albert and rembert: the words of BERT, their own spelling of the unknown
ALBERT_TOKENS = {**DEBERTA_TOKENS, "unk_token": "<unk>", "pad_token": "<pad>"}
ROBERTA_TOKENS = {
    "bos_token": "<s>",
    "eos_token": "</s>",
    "unk_token": "<unk>",
    "sep_token": "</s>",
    "pad_token": "<pad>",
    "cls_token": "<s>",
    "mask_token": "<mask>",
}
GPT2_TOKENS = {"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>"}
QWEN_TOKENS = {"eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>", "pad_token": "<|endoftext|>"}
T5_TOKENS = {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
PEGASUS_TOKENS = {**T5_TOKENS, "mask_token": "<mask_2>"}
LLAMA_TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
GEMMA_TOKENS = {"bos_token": "<bos>", "eos_token": "<eos>", "unk_token": "<unk>", "pad_token": "<pad>"}
BLOOM_TOKENS = {**LLAMA_TOKENS, "pad_token": "<pad>"}
CLIP_TOKENS = {
    "bos_token": "<|startoftext|>",
    "eos_token": "<|endoftext|>",
    "unk_token": "<|endoftext|>",
    "pad_token": "<|endoftext|>",
}
XLNET_TOKENS = {
    "bos_token": "<s>",
    "eos_token": "</s>",
    "unk_token": "<unk>",
    "sep_token": "<sep>",
    "pad_token": "<pad>",
    "cls_token": "<cls>",
    "mask_token": "<mask>",
}


@dataclass(frozen=True)
class Kind:
    """What is assumed about a tokenizer of this class where its files are silent."""

    name: str
    input_names: tuple[str, ...] = WITHOUT_TYPES
    special_tokens: Mapping[str, str] = field(default_factory=dict)
    padding_side: str = "right"
    pad_token_type_id: int = 0
    defaults: Mapping[str, object] = field(default_factory=dict)


LOWER = {"do_lower_case": True}

# published class name without "Tokenizer" and "Fast"
KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in [
        Kind("Albert", WITH_TYPES, ALBERT_TOKENS),
        Kind("Bart", WITHOUT_TYPES, ROBERTA_TOKENS),
        Kind("Barthez", WITHOUT_TYPES, ROBERTA_TOKENS),
        Kind("Bert", WITH_TYPES, BERT_TOKENS, defaults=LOWER),
        Kind(
            "BigBird",
            WITHOUT_TYPES,
            {**ROBERTA_TOKENS, "sep_token": "[SEP]", "cls_token": "[CLS]", "mask_token": "[MASK]"},
        ),
        Kind("Blenderbot", WITHOUT_TYPES, ROBERTA_TOKENS),
        Kind("Bloom", WITHOUT_TYPES, BLOOM_TOKENS, padding_side="left"),
        Kind("CLIP", WITHOUT_TYPES, CLIP_TOKENS),
        Kind("Camembert", WITHOUT_TYPES, ROBERTA_TOKENS),
        Kind("CodeGen", WITHOUT_TYPES, GPT2_TOKENS),
        Kind("CodeLlama", WITHOUT_TYPES, LLAMA_TOKENS, padding_side="left"),
        Kind("Cohere", WITHOUT_TYPES, padding_side="left"),
        Kind("ConvBert", WITH_TYPES, BERT_TOKENS, defaults=LOWER),
        Kind("Deberta", WITH_TYPES, DEBERTA_TOKENS),
        Kind("DebertaV2", WITH_TYPES, DEBERTA_TOKENS),
        Kind("DistilBert", WITHOUT_TYPES, BERT_TOKENS, defaults=LOWER),
        Kind("Electra", WITH_TYPES, BERT_TOKENS, defaults=LOWER),
        Kind("FNet", (IDS, TYPES), {**ALBERT_TOKENS}),
        Kind("Funnel", WITH_TYPES, {**ROBERTA_TOKENS, "sep_token": "<sep>", "cls_token": "<cls>"}, defaults=LOWER),
        Kind("GPT2", WITHOUT_TYPES, GPT2_TOKENS),
        Kind("GPTNeoX", WITHOUT_TYPES, GPT2_TOKENS),
        Kind("Gemma", WITHOUT_TYPES, GEMMA_TOKENS, padding_side="left"),
        Kind("Herbert", WITH_TYPES, {**ROBERTA_TOKENS}),
        Kind("LED", WITHOUT_TYPES, ROBERTA_TOKENS),
        Kind("LayoutLM", WITH_TYPES, BERT_TOKENS, defaults=LOWER),
        Kind("Llama", WITHOUT_TYPES, LLAMA_TOKENS, padding_side="left"),
        Kind("Longformer", WITHOUT_TYPES, ROBERTA_TOKENS),
        Kind("Lxmert", WITH_TYPES, BERT_TOKENS, defaults=LOWER),
        Kind("MBart", WITHOUT_TYPES, ROBERTA_TOKENS),
        Kind("MBart50", WITHOUT_TYPES, ROBERTA_TOKENS),
        Kind("MPNet", WITHOUT_TYPES, {**ROBERTA_TOKENS, "unk_token": "[UNK]"}, defaults=LOWER),
        Kind("MT5", WITHOUT_TYPES, T5_TOKENS),
        Kind("MobileBert", WITH_TYPES, BERT_TOKENS, defaults=LOWER),
        Kind("Mvp", WITHOUT_TYPES, ROBERTA_TOKENS),
        Kind("Nllb", WITHOUT_TYPES, ROBERTA_TOKENS),
        Kind("OpenAIGPT", WITHOUT_TYPES, {"unk_token": "<unk>"}),
        Kind("Pegasus", WITHOUT_TYPES, PEGASUS_TOKENS),
        Kind("Qwen2", WITHOUT_TYPES, QWEN_TOKENS),
        Kind("RemBert", WITH_TYPES, ALBERT_TOKENS),
        Kind("RoFormer", WITH_TYPES, BERT_TOKENS, defaults=LOWER),
        Kind("Roberta", WITHOUT_TYPES, ROBERTA_TOKENS),
        Kind("Splinter", WITH_TYPES, BERT_TOKENS, defaults=LOWER),
        Kind("SqueezeBert", WITH_TYPES, BERT_TOKENS, defaults=LOWER),
        Kind("T5", WITHOUT_TYPES, T5_TOKENS),
        Kind("Whisper", WITHOUT_TYPES, GPT2_TOKENS),
        Kind("XGLM", WITHOUT_TYPES, ROBERTA_TOKENS),
        Kind("XLMRoberta", WITHOUT_TYPES, ROBERTA_TOKENS),
        Kind("XLNet", WITH_TYPES, XLNET_TOKENS, padding_side="left", pad_token_type_id=3),
    ]
}

# any tokenizer.json: nothing is assumed but the three inputs
ANY = Kind("PreTrained", WITH_TYPES)

# model_type of config.json -> the class its tokenizer has when no file names one
BY_MODEL_TYPE: dict[str, str] = {
    **{kind.lower(): kind for kind in KINDS},
    "bigbird_pegasus": "Pegasus",
    "big_bird": "BigBird",
    "camembert": "Camembert",
    "code_llama": "CodeLlama",
    "deberta-v2": "DebertaV2",
    "ernie": "Bert",
    "flan-t5": "T5",
    "gpt-sw3": "GPT2",
    "gpt_bigcode": "GPT2",
    "gpt_neo": "GPT2",
    "gpt_neox": "GPTNeoX",
    "gptj": "GPT2",
    "gemma2": "Gemma",
    "longt5": "T5",
    "m2m_100": "Nllb",
    "mixtral": "Llama",
    "mistral": "Llama",
    "megatron-bert": "Bert",
    "nezha": "Bert",
    "nystromformer": "Albert",
    "olmo": "GPTNeoX",
    "openai-gpt": "OpenAIGPT",
    "opt": "GPT2",
    "persimmon": "Llama",
    "phi": "CodeGen",
    "phi3": "Llama",
    "pythia": "GPTNeoX",
    "qdqbert": "Bert",
    "qwen2_moe": "Qwen2",
    "qwen3": "Qwen2",
    "stablelm": "GPTNeoX",
    "umt5": "T5",
    "visual_bert": "Bert",
    "xlm-roberta": "XLMRoberta",
    "xlm-roberta-xl": "XLMRoberta",
    "yoso": "Albert",
}

# names of the general class, in all the releases people come from
GENERAL = {
    "PreTrainedTokenizerFast",
    "PreTrainedTokenizer",
    "PreTrainedTokenizerBase",
    "TokenizersBackend",
    "PythonBackend",
    "SentencePieceBackend",
}


def kind_name(class_name: str) -> str | None:
    """`BertTokenizerFast` and `BertTokenizer` -> `Bert`; None for the general class and for names nobody published."""
    name = class_name.removesuffix("Fast").removesuffix("Tokenizer")
    return name if name in KINDS and class_name in {f"{name}Tokenizer", f"{name}TokenizerFast"} else None


@cache
def _class_of(name: str) -> "type[PreTrainedTokenizerFast]":
    from madang.tokenizers.tokenizer import PreTrainedTokenizerFast

    kind = KINDS[name]
    about = f"The tokenizer of {name} models. How a text is split comes from its files; see PreTrainedTokenizerFast."
    return type(
        f"{name}TokenizerFast",
        (PreTrainedTokenizerFast,),
        {"kind": kind, "__doc__": about, "__module__": "madang.tokenizers", "slow_name": f"{name}Tokenizer"},
    )


def named_tokenizer_class(name: str) -> "type[PreTrainedTokenizerFast] | None":
    """The class published as `name` (`BertTokenizerFast`, `BertTokenizer`, …), or None for a name nobody knows.

    The names with and without "Fast" are one class: there is only the fast kind here.
    """
    if name in GENERAL:
        from madang.tokenizers.tokenizer import PreTrainedTokenizerFast

        return PreTrainedTokenizerFast
    kind = kind_name(name)
    return _class_of(kind) if kind is not None else None
