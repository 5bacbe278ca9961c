"""The models that are compared: which family, head and config, fed with which batches.

`reference.py` gets them as JSON, in the interpreters of the reference packages.
"""

from dataclasses import asdict, dataclass, field
from typing import Any

from madang.testing import TINY

OLD, NEW = "4.40.1", "5.23.0"
VERSIONS = (NEW, OLD)


@dataclass(frozen=True)
class Case:
    """One model. `config` is what differs from the family's defaults; `batches` name the inputs `reference.py` draws.

    `versions` are the reference packages that have this model.
    """

    name: str
    model_type: str
    task: str
    class_name: str
    config: dict[str, Any] = field(hash=False)
    batches: tuple = ("full", "right", "left")
    versions: tuple = VERSIONS
    dtype: str = "float32"
    generates: bool = False

    @property
    def folder(self):
        return self.name.replace("/", "-").replace(" ", "-").replace(",", "")


# model_type -> task -> the class of the reference packages
HEADS = {
    "bert": {
        "body": "BertModel",
        "masked-language": "BertForMaskedLM",
        "causal-language": "BertLMHeadModel",
        "sequence-classification": "BertForSequenceClassification",
        "token-classification": "BertForTokenClassification",
        "question-answering": "BertForQuestionAnswering",
        "multiple-choice": "BertForMultipleChoice",
    },
    "roberta": {
        "body": "RobertaModel",
        "masked-language": "RobertaForMaskedLM",
        "causal-language": "RobertaForCausalLM",
        "sequence-classification": "RobertaForSequenceClassification",
        "token-classification": "RobertaForTokenClassification",
        "question-answering": "RobertaForQuestionAnswering",
        "multiple-choice": "RobertaForMultipleChoice",
    },
    "gpt2": {
        "body": "GPT2Model",
        "causal-language": "GPT2LMHeadModel",
        "sequence-classification": "GPT2ForSequenceClassification",
        "token-classification": "GPT2ForTokenClassification",
        "question-answering": "GPT2ForQuestionAnswering",
    },
    "llama": {
        "body": "LlamaModel",
        "causal-language": "LlamaForCausalLM",
        "sequence-classification": "LlamaForSequenceClassification",
        "token-classification": "LlamaForTokenClassification",
        "question-answering": "LlamaForQuestionAnswering",
    },
    "t5": {
        "body": "T5Model",
        "encoder": "T5EncoderModel",
        "sequence-to-sequence-language": "T5ForConditionalGeneration",
        "sequence-classification": "T5ForSequenceClassification",
        "token-classification": "T5ForTokenClassification",
        "question-answering": "T5ForQuestionAnswering",
    },
    "deberta-v2": {
        "body": "DebertaV2Model",
        "masked-language": "DebertaV2ForMaskedLM",
        "sequence-classification": "DebertaV2ForSequenceClassification",
        "token-classification": "DebertaV2ForTokenClassification",
        "question-answering": "DebertaV2ForQuestionAnswering",
        "multiple-choice": "DebertaV2ForMultipleChoice",
    },
    "vit": {"body": "ViTModel", "image-classification": "ViTForImageClassification"},
}

# Heads that a reference package does not have.
ABSENT = {"LlamaForTokenClassification": (OLD,)}

LABELS = {"id2label": {0: "politics", 1: "sports", 2: "world", 3: "science"}}
LABELLED = ("sequence-classification", "token-classification", "image-classification")


def _case(name, model_type, task, config, **more):
    class_name = HEADS[model_type][task]
    values = {**TINY[model_type]}
    if task in LABELLED:
        values.update(
            id2label=LABELS["id2label"], label2id={label: index for index, label in LABELS["id2label"].items()}
        )
    if task == "causal-language" and model_type in ("bert", "roberta"):
        values["is_decoder"] = True
    values.update(config)
    more.setdefault("versions", tuple(version for version in VERSIONS if version not in ABSENT.get(class_name, ())))
    if model_type == "vit":
        more.setdefault("batches", ("images", "large"))
    return Case(f"{model_type}/{name}", model_type, task, class_name, values, **more)


def _corner(name, model_type, task, versions=VERSIONS, batches=None, **config):
    more = {} if batches is None else {"batches": batches}
    return _case(name, model_type, task, config, versions=versions, **more)


def _heads():
    for model_type, heads in HEADS.items():
        for task in heads:
            # t5 has a case of its own: 5.23.0 fails to generate when the decoder has more layers than the encoder
            generates = task == "causal-language" and model_type in ("gpt2", "llama")
            yield _case(task, model_type, task, {}, generates=generates)


def _problems():
    """The kinds of problem of a sequence classification head, said by the config and told by the labels."""
    for model_type in ("bert", "roberta", "gpt2", "llama", "t5", "deberta-v2"):
        task = "sequence-classification"
        yield _case(
            "regression",
            model_type,
            task,
            {"problem_type": "regression", "id2label": {0: "grade"}, "label2id": {"grade": 0}},
        )
        yield _case("regression of several", model_type, task, {"problem_type": "regression"})
        yield _case("multi label", model_type, task, {"problem_type": "multi_label_classification"})
        yield _case("regression by one class", model_type, task, {"id2label": {0: "grade"}, "label2id": {"grade": 0}})


def _half():
    """Checkpoints in half precision; their numbers are compared roughly, their bytes exactly."""
    for model_type, heads in HEADS.items():
        for dtype in ("bfloat16", "float16"):
            task = "sequence-to-sequence-language" if model_type == "t5" else list(heads)[1]
            yield _case(dtype, model_type, task, {}, dtype=dtype)


def _bert():
    for model_type in ("bert", "roberta"):
        for act in ("relu", "gelu_new", "silu", "gelu_pytorch_tanh", "quick_gelu", "gelu_fast", "mish", "tanh"):
            yield _corner(f"hidden_act {act}", model_type, "masked-language", hidden_act=act)
        yield _corner("type_vocab_size 3", model_type, "body", type_vocab_size=3)
        yield _corner("layer_norm_eps", model_type, "sequence-classification", layer_norm_eps=0.3)
        yield _corner("untied", model_type, "masked-language", tie_word_embeddings=False)
        yield _corner("decoder body", model_type, "body", is_decoder=True)
        yield _corner("untied decoder", model_type, "causal-language", tie_word_embeddings=False)
        yield _corner("one layer", model_type, "body", num_hidden_layers=1, num_attention_heads=4)
        yield _corner("pad_token_id 3", model_type, "token-classification", pad_token_id=3)


def _gpt2():
    yield _corner("n_inner", "gpt2", "causal-language", n_inner=17)
    yield _corner("activation relu", "gpt2", "causal-language", activation_function="relu")
    yield _corner("activation gelu", "gpt2", "causal-language", activation_function="gelu")
    yield _corner("scale by layer", "gpt2", "causal-language", scale_attn_by_inverse_layer_idx=True)
    yield _corner("unscaled", "gpt2", "causal-language", scale_attn_weights=False)
    yield _corner("both scales", "gpt2", "body", scale_attn_weights=False, scale_attn_by_inverse_layer_idx=True)
    yield _corner(
        "upcast", "gpt2", "causal-language", reorder_and_upcast_attn=True, scale_attn_by_inverse_layer_idx=True
    )
    yield _corner("untied", "gpt2", "causal-language", tie_word_embeddings=False)
    yield _corner("layer_norm_epsilon", "gpt2", "body", layer_norm_epsilon=0.3)
    yield _corner("no padding id", "gpt2", "causal-language", pad_token_id=None)


LONG = ("full", "right", "left", "long")


def _llama():
    yield _corner("all heads", "llama", "causal-language", num_key_value_heads=6)
    yield _corner("one shared head", "llama", "causal-language", num_key_value_heads=1)
    yield _corner("head_dim", "llama", "causal-language", versions=(NEW,), head_dim=10)
    yield _corner("attention_bias", "llama", "causal-language", attention_bias=True)
    yield _corner("mlp_bias", "llama", "causal-language", versions=(NEW,), mlp_bias=True)
    yield _corner("tied", "llama", "causal-language", tie_word_embeddings=True)
    yield _corner("hidden_act gelu", "llama", "causal-language", hidden_act="gelu")
    yield _corner("rms_norm_eps", "llama", "body", rms_norm_eps=0.3)
    yield _corner("rope_theta", "llama", "causal-language", rope_theta=500.0)
    yield _corner("pretraining_tp", "llama", "causal-language", pretraining_tp=2, vocab_size=62)
    for kind in ("linear", "dynamic"):
        scaling = {"type": kind, "factor": 2.5}
        yield _corner(f"old {kind}", "llama", "causal-language", batches=LONG, rope_scaling=scaling)
    scalings = {
        "linear": {"factor": 2.5},
        "dynamic": {"factor": 2.5},
        "llama3": {
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 12,
        },
        "yarn": {"factor": 4.0, "original_max_position_embeddings": 19},
        "yarn attention_factor": {"factor": 4.0, "attention_factor": 1.3, "original_max_position_embeddings": 19},
        "yarn mscale": {
            "factor": 4.0,
            "mscale": 0.7,
            "mscale_all_dim": 1.4,
            "beta_fast": 3.0,
            "beta_slow": 1.5,
            "truncate": False,
            "original_max_position_embeddings": 9,
        },
        "longrope": {
            "factor": 4.0,
            "short_factor": [1.0, 1.5],
            "long_factor": [2.0, 3.0],
            "original_max_position_embeddings": 11,
        },
        "longrope attention_factor": {
            "factor": 4.0,
            "short_factor": [1.0, 1.5],
            "long_factor": [2.0, 3.0],
            "attention_factor": 1.2,
            "original_max_position_embeddings": 11,
        },
    }
    for name, scaling in scalings.items():
        parameters = {"rope_type": name.split()[0], "rope_theta": 100.0, **scaling}
        yield _corner(
            f"rope {name}", "llama", "causal-language", versions=(NEW,), batches=LONG, rope_parameters=parameters
        )


def _t5():
    task = "sequence-to-sequence-language"
    for act in ("gated-gelu", "gated-silu", "gelu", "relu", "gated-relu"):
        yield _corner(act, "t5", task, feed_forward_proj=act)
    yield _corner("untied", "t5", task, tie_word_embeddings=False)
    yield _corner("1.1", "t5", task, tie_word_embeddings=False, feed_forward_proj="gated-gelu")
    yield _case("generation", "t5", task, {"num_decoder_layers": 2}, generates=True)
    yield _corner("fewer decoder layers", "t5", task, num_decoder_layers=1)
    yield _corner("same layers", "t5", task, num_decoder_layers=None)
    yield _corner("buckets", "t5", task, relative_attention_num_buckets=6, relative_attention_max_distance=9)
    yield _corner(
        "default buckets", "t5", "body", relative_attention_num_buckets=32, relative_attention_max_distance=128
    )
    yield _corner("layer_norm_epsilon", "t5", "body", layer_norm_epsilon=0.3)


def _deberta():
    def corner(name, task="masked-language", versions=VERSIONS, **config):
        return _corner(name, "deberta-v2", task, versions=versions, **config)

    yield corner("separate keys", share_att_key=False)
    yield corner("only c2p", pos_att_type=["c2p"])
    yield corner("only p2c", pos_att_type=["p2c"])
    yield corner("string", pos_att_type="p2c|c2p")
    yield corner("separate keys, only c2p", share_att_key=False, pos_att_type="c2p")
    yield corner("separate keys, only p2c", share_att_key=False, pos_att_type="p2c")
    yield corner("no buckets", position_buckets=-1, max_relative_positions=6)
    yield corner("many buckets", position_buckets=16)
    yield corner("no norm of the table", norm_rel_ebd="none")
    yield corner("biased input", position_biased_input=True)
    yield corner("types", "body", type_vocab_size=2)
    yield corner(
        "no relative attention", "body", relative_attention=False, norm_rel_ebd="none", position_biased_input=True
    )
    yield corner("convolution", conv_kernel_size=3, conv_act="gelu")
    yield corner("convolution tanh", conv_kernel_size=5)
    yield corner("embedding_size", "body", embedding_size=16)
    yield corner("embedding_size, masked", embedding_size=16)
    yield corner("pooler relu", "sequence-classification", pooler_hidden_act="relu")
    yield corner("new masked head", versions=(NEW,), legacy=False)
    yield corner("layer_norm_eps", "body", layer_norm_eps=0.3)
    yield corner("untied", tie_word_embeddings=False)
    yield corner("long texts", "body", max_position_embeddings=40, position_buckets=6)


def _vit():
    def corner(name, task="image-classification", versions=VERSIONS, batches=("images", "large"), **config):
        return _corner(name, "vit", task, versions=versions, batches=batches, **config)

    yield corner("no qkv_bias", qkv_bias=False)
    yield corner("oblong images", batches=("images",), image_size=[12, 8])
    yield corner("oblong patches", batches=("images",), patch_size=[4, 3])
    yield corner("one channel", num_channels=1)
    yield corner("hidden_act", hidden_act="relu")
    yield corner("pooler", "body", versions=(NEW,), pooler_act="relu", pooler_output_size=11)
    yield corner("layer_norm_eps", "body", layer_norm_eps=0.3)
    yield corner("head_dim", versions=(NEW,), head_dim=7)


def as_json():
    """What `reference.py` has to know."""
    return {"cases": [{**asdict(case), "folder": case.folder} for case in CASES], "heads": HEADS}


CASES = [*_heads(), *_problems(), *_half(), *_bert(), *_gpt2(), *_llama(), *_t5(), *_deberta(), *_vit()]
