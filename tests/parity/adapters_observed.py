"""What the peft package says of adapters, in its own interpreter.

python adapters_observed.py make FOLDER    tiny models with trained-looking adapters: base/, adapter/, said.safetensors
python adapters_observed.py check FOLDER   opens base/ with ours/, an adapter saved here, and writes ours.safetensors
"""

import copy
import sys
import warnings
from pathlib import Path

import torch
from safetensors.torch import save_file

SMALL = {
    "bert": {"vocab_size": 61, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3,
             "intermediate_size": 20, "max_position_embeddings": 19},
    "roberta": {"vocab_size": 61, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3,
                "intermediate_size": 20, "max_position_embeddings": 19},
    "deberta-v2": {"vocab_size": 61, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3,
                   "intermediate_size": 20, "max_position_embeddings": 19, "relative_attention": True,
                   "position_buckets": 4, "norm_rel_ebd": "layer_norm", "share_att_key": True,
                   "pos_att_type": ["p2c", "c2p"], "position_biased_input": False, "pooler_hidden_size": 24},
    "gpt2": {"vocab_size": 61, "n_positions": 19, "n_embd": 24, "n_layer": 2, "n_head": 3, "pad_token_id": 0,
             "bos_token_id": 1, "eos_token_id": 2},
    "llama": {"vocab_size": 61, "hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 6,
              "num_key_value_heads": 2, "intermediate_size": 20, "max_position_embeddings": 19, "pad_token_id": 0},
    "t5": {"vocab_size": 61, "d_model": 24, "d_kv": 7, "d_ff": 20, "num_layers": 2, "num_heads": 3,
           "decoder_start_token_id": 0},
}  # fmt: skip

# name -> model type, task, options of LoraConfig
CASES = {
    "bert": ("bert", "SequenceClassification", {"task_type": "SEQ_CLS", "r": 4}),
    "bert-biases": ("bert", "SequenceClassification", {"task_type": "SEQ_CLS", "r": 3, "bias": "all"}),
    "bert-tokens": ("bert", "TokenClassification", {"task_type": "TOKEN_CLS", "target_modules": ["query", "dense"]}),
    "roberta": ("roberta", "SequenceClassification", {"task_type": "SEQ_CLS", "target_modules": "all-linear"}),
    "roberta-answers": ("roberta", "QuestionAnswering", {"task_type": "QUESTION_ANS", "use_rslora": True, "r": 5}),
    "deberta": ("deberta-v2", "SequenceClassification", {"task_type": "SEQ_CLS", "lora_alpha": 32}),
    "gpt2": ("gpt2", "CausalLM", {"task_type": "CAUSAL_LM", "r": 4, "bias": "lora_only"}),
    "gpt2-all": (
        "gpt2",
        "SequenceClassification",
        {"task_type": "SEQ_CLS", "target_modules": ["c_attn", "c_proj", "c_fc"], "r": 2},
    ),
    "llama": ("llama", "CausalLM", {"task_type": "CAUSAL_LM", "lora_alpha": 16}),
    "llama-patterns": (
        "llama",
        "CausalLM",
        {
            "target_modules": ["q_proj", "k_proj", "down_proj", "lm_head"],
            "layers_to_transform": [0, 2],
            "rank_pattern": {"k_proj": 3, "layers.2.mlp.down_proj": 2},
            "alpha_pattern": {"q_proj": 40},
            "exclude_modules": ["lm_head"],
            "modules_to_save": ["embed_tokens"],
        },
    ),
    "llama-expression": ("llama", "CausalLM", {"target_modules": r".*\.1\.(mlp|self_attn)\.[qu]\w*_proj"}),
    "t5": ("t5", "Seq2SeqLM", {"task_type": "SEQ_2_SEQ_LM", "r": 3}),
}


def inputs(name):
    """Two texts of different lengths, padded."""
    ids = torch.tensor([[5, 9, 41, 17, 22, 60, 8], [33, 7, 12, 50, 1, 0, 0]])
    mask = torch.tensor([[1] * 7, [1] * 5 + [0] * 2])
    if CASES[name][0] == "roberta":
        ids = ids.masked_fill(mask == 0, 1)
    given = {"input_ids": ids, "attention_mask": mask}
    return {**given, "decoder_input_ids": ids.flip(1)} if CASES[name][0] == "t5" else given


def logits(model, name):
    """What the model answers, where there are tokens."""
    mask = inputs(name)["attention_mask"].bool()
    # in float64: what two orders of the same sums differ by in float32 is as large as a small mistake
    model = copy.deepcopy(model).double()
    with torch.no_grad():
        output = model(**inputs(name))
    found = (
        torch.stack((output["start_logits"], output["end_logits"]), -1) if "Q" in CASES[name][1] else output["logits"]
    )
    return found[mask].contiguous() if found.ndim == 3 and CASES[name][0] != "t5" else found.contiguous()


def make(folder):
    """One base model and one adapter per case, all numbers random, with what peft answers."""
    import transformers
    from peft import LoraConfig, get_peft_model

    for name, (model_type, task, options) in CASES.items():
        torch.manual_seed(3)
        config = transformers.AutoConfig.for_model(model_type, **SMALL[model_type])
        # a base without the head, as in life; heads that learn as a whole are then those of the adapter
        model = getattr(transformers, f"AutoModelFor{task}").from_config(config, attn_implementation="eager")
        randomise(model)
        model.save_pretrained(folder / name / "base")
        model = model.eval()
        said = {"before": logits(model, name)}
        model = get_peft_model(model, LoraConfig(**{"init_lora_weights": False, **options})).eval()
        randomise([p for p in model.parameters() if p.requires_grad])
        model.peft_config["default"].base_model_name_or_path = str(folder / name / "base")
        model.save_pretrained(folder / name / "adapter")
        said["adapted"] = logits(model, name)
        learning, _ = model.get_nb_trainable_parameters()
        said["learning"] = torch.tensor(learning)
        said["merged"] = logits(model.merge_and_unload(), name)
        save_file(said, folder / name / "said.safetensors")


def randomise(model):
    """Random numbers everywhere: a zero would hide that a tensor is not used."""
    parameters = model if isinstance(model, list) else list(model.parameters())
    with torch.no_grad():
        for parameter in parameters:
            parameter.add_(0.1 * torch.randn(parameter.shape))


def check(folder):
    """What peft makes of adapters that were saved here."""
    import transformers
    from peft import PeftModel

    for name, (_, task, _) in CASES.items():
        place = folder / name
        kind = getattr(transformers, f"AutoModelFor{task}")
        base = kind.from_pretrained(place / "base", attn_implementation="eager")
        adapted = PeftModel.from_pretrained(base, place / "ours").eval()
        said = {"adapted": logits(adapted, name)}
        # also without naming the base model: as transformers opens a folder with an adapter
        said["opened"] = logits(kind.from_pretrained(place / "ours", attn_implementation="eager").eval(), name)
        save_file(said, place / "ours.safetensors")


if __name__ == "__main__":
    import transformers

    transformers.logging.set_verbosity_error()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    {"make": make, "check": check}[sys.argv[1]](Path(sys.argv[2]))
