"""Random models of a few thousand parameters, with the tokenizers that go with them."""

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

import madang
from madang.tokenizers import PreTrainedTokenizerFast

SENTENCES = [
    "Ada Lovelace met Charles Babbage in London, in 1833.",
    "the cat sat on the mat and the dog sat on the log",
    "서울에서 열린 회의에 김연아 선수가 참석했다",
    "a",
    "Rivers run to the sea; the sea is not full.",
    "unbelievable misunderstandings, unfortunately",
]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LABELS = {0: "O", 1: "B-PER", 2: "I-PER", 3: "B-LOC", 4: "I-LOC"}


WHOLE = [
    "the",
    "cat",
    "dog",
    "sat",
    "on",
    "mat",
    "Ada",
    "met",
    "London",
    "##lace",
    "##age",
    "un",
    "##believ",
    "서울",
    "##에서",
]
MERGES = [
    ("t", "h"),
    ("th", "e"),
    ("Ġ", "the"),
    ("a", "t"),
    ("Ġ", "c"),
    ("Ġc", "at"),
    ("Ġ", "s"),
    ("Ġs", "at"),
    ("o", "n"),
]


def letters():
    """Every character of the sentences."""
    return sorted(set("".join(SENTENCES)) - {" "})


def wordpiece(limit=64):
    """A BERT tokenizer whose words fall into pieces."""
    tokens = [*SPECIAL, *letters(), *(f"##{letter}" for letter in letters()), *WHOLE]
    vocabulary = {token: number for number, token in enumerate(dict.fromkeys(tokens))}
    backend = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]", continuing_subword_prefix="##"))
    backend.normalizer = normalizers.NFC()
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    backend.decoder = decoders.WordPiece(prefix="##")
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=limit,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )


def byte_level():
    """A GPT-2 tokenizer."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = ["<|endoftext|>", *alphabet, *("".join(pair) for pair in MERGES)]
    backend = Tokenizer(models.BPE({token: number for number, token in enumerate(tokens)}, MERGES))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.post_processor = processors.ByteLevel(trim_offsets=False)
    backend.add_special_tokens(["<|endoftext|>"])
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token="<|endoftext|>",
        eos_token="<|endoftext|>",
        unk_token="<|endoftext|>",
        model_input_names=["input_ids", "attention_mask"],
        model_max_length=96,
    )


def bert(task, **values):
    """A BERT with a head, its weights large enough for answers to differ."""
    config = madang.BertConfig(
        vocab_size=len(wordpiece()),
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=3,
        intermediate_size=40,
        max_position_embeddings=64,
        **values,
    )
    return spread(getattr(madang, f"AutoModel{task}").from_config(config))


def gpt2(task="ForCausalLM", **values):
    """A GPT-2 with a head."""
    config = madang.GPT2Config(
        vocab_size=266, n_embd=24, n_layer=2, n_head=3, n_positions=96, bos_token_id=0, eos_token_id=0, **values
    )
    return spread(getattr(madang, f"AutoModel{task}").from_config(config))


def spread(model):
    """Larger random numbers than fresh ones, biases too, drawn from a fixed seed."""
    import torch

    generator = torch.Generator().manual_seed(11)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if "norm" in name and name.endswith("weight"):
                parameter.copy_(1 + 0.2 * noise)
            else:
                parameter.copy_(0.35 * noise)
    return model.eval()
