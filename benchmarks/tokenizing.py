"""How fast texts become ids: this library, the Rust tokenizer alone, a reference package.

    python benchmarks/tokenizing.py --data titles.csv --reference .parity/transformers-5/bin/python

The bare way is `encode_batch` of the tokenizers package, whose result holds no Python lists yet.
"""

import argparse
import sys
from pathlib import Path

from model import minilm, texts
from rounds import report, serve, take_turns

CALLS = {
    "ids": {},
    "truncated": {"truncation": True, "max_length": 64},
    "padded": {"padding": True, "truncation": True, "max_length": 64},
    "arrays": {"padding": True, "truncation": True, "max_length": 64, "return_tensors": "np"},
    "offsets": {"return_offsets_mapping": True},
}


def work(kind: str, arguments: argparse.Namespace) -> None:
    """Be one of the workers."""
    lines, options = texts(arguments.data, arguments.texts), CALLS[arguments.call]
    if kind == "bare":
        from tokenizers import Tokenizer

        backend = Tokenizer.from_file(str(arguments.model / "tokenizer.json"))
        backend.no_padding()
        backend.no_truncation()
        if "truncation" in options:
            backend.enable_truncation(options["max_length"])
        if "padding" in options:
            backend.enable_padding()
        serve(lambda: backend.encode_batch(lines))
        return
    if kind == "reference":
        from transformers import AutoTokenizer
    else:
        from madang import AutoTokenizer
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    serve(lambda: tokenizer(lines, **options))


def main() -> None:
    """Start the workers and compare, one way of calling after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="a CSV file with a column title or text")
    parser.add_argument("--texts", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--reference", help="a Python interpreter that has the reference package")
    parser.add_argument("--model", type=Path, default=None, help="a folder with tokenizer.json")
    parser.add_argument("--call", choices=CALLS, help="only this way of calling")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.model = arguments.model or minilm()
    if arguments.worker:
        work(arguments.worker, arguments)
        return
    for call in [arguments.call] if arguments.call else CALLS:
        passed = [__file__, *sys.argv[1:], "--model", str(arguments.model), "--call", call]
        commands = {kind: [sys.executable, *passed, "--worker", kind] for kind in ("madang", "bare")}
        if arguments.reference:
            commands["reference"] = [arguments.reference, *passed, "--worker", "reference"]
        print(f"{call}: tokenizer(texts, {', '.join(f'{name}={value!r}' for name, value in CALLS[call].items())})")
        report(take_turns(commands, arguments.rounds), "bare")


if __name__ == "__main__":
    main()
