"""Turn the checkpoint of another program into one that Madang, and everybody else, can load.

stories260K is a really trained Llama of 260,000 parameters in the layout of llama2.c: one file of raw numbers, one of
tokens. This program writes them again as config.json, model.safetensors and tokenizer.json, loads that folder like
any other model, and lets it tell its story:

    python examples/convert_stories260k.py path/to/stories260k outputs/stories260k
"""

import argparse
import json
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, processors

Array = NDArray[np.float32]
FIELDS = ("dim", "hidden_dim", "n_layers", "n_heads", "n_kv_heads", "vocab_size", "seq_len")
SPACE = "\u2581"  # how SentencePiece writes a space inside a token


def convert(source: Path, target: Path) -> None:
    """Write the model in the folder `source` (stories260K.bin, tok512.bin) as a checkpoint into `target`."""
    target.mkdir(parents=True, exist_ok=True)
    sizes, tensors = read_model(source / "stories260K.bin")
    save_file(tensors, target / "model.safetensors", metadata={"format": "pt"})
    (target / "config.json").write_text(json.dumps(config(sizes), indent=2) + "\n", encoding="utf-8")

    tokenizer = bpe(read_tokens(source / "tok512.bin", sizes["vocab_size"]))
    tokenizer.save(str(target / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<s>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "model_max_length": sizes["seq_len"],
    }
    (target / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


# ------------------------------------------------------------------------------------------------------------- weights


def read_model(path: Path) -> tuple[dict[str, int], dict[str, Array]]:
    """The sizes in the head of the file, and its arrays under the names that Llama checkpoints use."""
    content = path.read_bytes()
    sizes = dict(zip(FIELDS, struct.unpack_from("<7i", content), strict=True))
    numbers = np.frombuffer(content, dtype="<f4", offset=4 * len(FIELDS))
    layers, dim, hidden = sizes["n_layers"], sizes["dim"], sizes["hidden_dim"]
    heads, kv_heads = sizes["n_heads"], sizes["n_kv_heads"]
    kv_dim = dim // heads * kv_heads
    position = 0

    def take(*shape: int) -> Array:
        nonlocal position
        start, position = position, position + int(np.prod(shape))
        return numbers[start:position].reshape(shape).copy()

    # in the order of the file; each kind of array holds all layers in turn
    tensors = {"model.embed_tokens.weight": take(sizes["vocab_size"], dim)}
    kinds: dict[str, Array] = {
        "input_layernorm": take(layers, dim),
        "self_attn.q_proj": halves(take(layers, dim, dim), heads),
        "self_attn.k_proj": halves(take(layers, kv_dim, dim), kv_heads),
        "self_attn.v_proj": take(layers, kv_dim, dim),
        "self_attn.o_proj": take(layers, dim, dim),
        "post_attention_layernorm": take(layers, dim),
        "mlp.gate_proj": take(layers, hidden, dim),
        "mlp.down_proj": take(layers, dim, hidden),
        "mlp.up_proj": take(layers, hidden, dim),
    }
    tensors["model.norm.weight"] = take(dim)
    for name, stacked in kinds.items():
        for layer in range(layers):
            tensors[f"model.layers.{layer}.{name}.weight"] = stacked[layer].copy()
    return sizes, tensors


def halves(weight: Array, heads: int) -> Array:
    """Reorder the rows of each head from rotary pairs (0, 1), (2, 3), … to pairs (0, D/2), (1, D/2 + 1), …

    The rotation itself is the same; only which two rows turn together is written down differently. As the rows of
    queries and keys move alike, their products, and so the attention, stay what they were.
    """
    layers, rows, columns = weight.shape
    pairs = weight.reshape(layers, heads, rows // heads // 2, 2, columns)
    return pairs.swapaxes(2, 3).reshape(layers, rows, columns)


def config(sizes: dict[str, int]) -> dict[str, object]:
    """The config.json of a Llama with these sizes."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": sizes["dim"],
        "intermediate_size": sizes["hidden_dim"],
        "num_hidden_layers": sizes["n_layers"],
        "num_attention_heads": sizes["n_heads"],
        "num_key_value_heads": sizes["n_kv_heads"],
        "vocab_size": sizes["vocab_size"],
        "max_position_embeddings": sizes["seq_len"],
        "hidden_act": "silu",
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": True,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "torch_dtype": "float32",
    }


# -------------------------------------------------------------------------------------------------------------- tokens


def read_tokens(path: Path, count: int) -> list[tuple[str, float]]:
    """Each token's text and score, in the order of their ids."""
    content = path.read_bytes()
    position = 4  # the length of the longest token stands first
    tokens = []
    for _ in range(count):
        score, length = struct.unpack_from("<fi", content, position)
        position += 8
        tokens.append((content[position : position + length].decode("utf-8"), score))
        position += length
    return tokens


def bpe(tokens: list[tuple[str, float]]) -> Tokenizer:
    """A tokenizer that cuts texts as SentencePiece does: join the best-scored neighbours until none can be joined."""
    names = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    names += [text.replace(" ", SPACE) for text, _ in tokens[len(names) :]]
    ids = {name: index for index, name in enumerate(names)}
    scores = [score for _, score in tokens]

    # A list of merges says in which order neighbours are joined; a score says it for the token that comes out.
    # So every way to cut a token in two known halves is a merge, best token first.
    merges = [
        (ids[name], name[:cut], name[cut:])
        for name in names[259:]
        for cut in range(1, len(name))
        if name[:cut] in ids and name[cut:] in ids
    ]
    merges.sort(key=lambda merge: -scores[merge[0]])
    model = models.BPE(
        vocab=ids,
        merges=[(left, right) for _, left, right in merges],
        unk_token="<unk>",
        fuse_unk=True,
        byte_fallback=True,
    )
    tokenizer = Tokenizer(model)
    # one space is put before a text, and every space becomes part of a token
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend(SPACE), normalizers.Replace(" ", SPACE)])
    tokenizer.decoder = decoders.Sequence(
        [
            decoders.Replace(SPACE, " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Replace(Regex("^ "), ""),
        ]
    )
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in names[:3]])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", ids["<s>"])]
    )
    return tokenizer


# --------------------------------------------------------------------------------------------------------------- story


def tell(folder: Path, tokens: int) -> str:
    """The story that the model in `folder` tells when every next token is the likeliest one."""
    from madang import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder)
    begin = tokenizer("", return_tensors="pt")  # nothing but the begin token
    story = model.generate(**begin, max_new_tokens=tokens, do_sample=False)
    text: str = tokenizer.decode(story[0], skip_special_tokens=True)
    return text


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("source", type=Path, help="the folder with stories260K.bin and tok512.bin")
    parser.add_argument("target", type=Path, nargs="?", default=Path("outputs/stories260k"), help="the folder to write")
    parser.add_argument("--tokens", type=int, default=200, help="how long the story may get")
    arguments = parser.parse_args()
    convert(arguments.source, arguments.target)
    print(tell(arguments.target, arguments.tokens))
