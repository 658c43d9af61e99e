#!/usr/bin/env python3
"""Loads a checkpoint directory written by Jacquard with transformers and compares the logits.

    python3 check_transformers.py DIR [--dtype fp32|bf16] [--tolerance ABSOLUTE] [--no-tokenizer]

DIR holds config.json, model.safetensors (or shards), tokenizer.json, and logits.safetensors with
    input_ids  I32 or I64 [B, T]
    logits     F32 or BF16 [B, T, vocab]    what Jacquard computed from those weights
    text_ids   I32 or I64 [n], optional     what Jacquard's tokenizer made of the metadata entry "text"
Passes when no weight is missing or left over and when Jacquard's logits are at most twice as far from a
double-precision run as those of transformers in the same dtype (by default the checkpoint's own). --tolerance replaces
that rule by a limit on the difference between Jacquard and transformers.

Results go to stdout. Exit code: 0 pass, 1 fail, 2 wrong usage or unreadable input.
"""

import argparse
import copy
import os
import pathlib
import sys

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch  # noqa: E402
from safetensors import safe_open  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: E402

from reference_support import only_double, to_double  # noqa: E402


class Report:
    def __init__(self):
        self.passed = True

    def line(self, what, good, detail):
        self.passed &= good
        print(f"{'pass' if good else 'FAIL'}  {what}: {detail}")


def compare_logits(report, folder, stored, dtype, tolerance):
    model, info = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, output_loading_info=True)
    model.eval()
    wrong = {kind: sorted(map(str, names)) for kind, names in info.items() if names}
    report.line("weights", not wrong, "every name is known and present" if not wrong else str(wrong))

    ids = stored["input_ids"].long()
    ours = stored["logits"].double()
    with torch.no_grad():
        theirs = model(input_ids=ids, use_cache=False).logits.double()
        exact_model = to_double(copy.deepcopy(model))
        # other architectures may compute parts in fp32 on their own account: then the reference is only as good as that
        with only_double(model.config.model_type in ("gpt2", "llama")):
            exact = exact_model(input_ids=ids, use_cache=False).logits.double()
    if ours.shape != theirs.shape:
        report.line("logits", False, f"shape {list(ours.shape)}, but transformers gives {list(theirs.shape)}")
        return
    finite = bool(torch.isfinite(ours).all())
    difference = (ours - theirs).abs().max().item()
    our_error, their_error = (ours - exact).abs().max().item(), (theirs - exact).abs().max().item()
    print(
        f"max abs diff {difference:.3e}; error against double: Jacquard {our_error:.3e}, transformers"
        f" {their_error:.3e}; largest logit {exact.abs().max():.3f}; {model.dtype}"
    )
    if tolerance is not None:
        report.line("logits", finite and difference <= tolerance, f"{difference:.3e}, allowed {tolerance:.3e}")
    else:
        report.line("logits", finite and our_error <= 2 * their_error, f"{our_error:.3e}, allowed {2 * their_error:.3e}")


def compare_tokenizer(report, folder, stored, metadata):
    if not (folder / "tokenizer.json").exists():
        report.line("tokenizer", False, "no tokenizer.json (leave this check out with --no-tokenizer)")
        return
    tokenizer = AutoTokenizer.from_pretrained(folder)
    text = metadata.get("text")
    if text is None or "text_ids" not in stored:
        report.line("tokenizer", True, f"loads as {type(tokenizer).__name__}, {len(tokenizer)} tokens; no text to compare")
        return
    ours = stored["text_ids"].tolist()
    theirs = tokenizer(text, add_special_tokens=False)["input_ids"]
    where = next((i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b), min(len(ours), len(theirs)))
    good = ours == theirs
    report.line("tokenizer", good, f"{len(ours)} ids" if good else
                f"differs at {where}: Jacquard {ours[where:where + 5]}, transformers {theirs[where:where + 5]}")
    back = tokenizer.decode(ours, clean_up_tokenization_spaces=False)
    report.line("decoding", back == text, "gives the text back" if back == text else f"{back[:80]!r} for {text[:80]!r}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", metavar="DIR", type=pathlib.Path)
    parser.add_argument("--dtype", choices=("fp32", "bf16"), help="run transformers in this instead of the checkpoint's")
    parser.add_argument("--tolerance", type=float)
    parser.add_argument("--no-tokenizer", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    path = arguments.folder / "logits.safetensors"
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            stored = {name: file.get_tensor(name) for name in file.keys()}
    except Exception as e:
        print(f"{path}: {e}", file=sys.stderr)
        return 2
    absent = [name for name in ("input_ids", "logits") if name not in stored]
    if absent:
        print(f"{path}: no tensor {', '.join(absent)}; it holds {sorted(stored)}", file=sys.stderr)
        return 2
    report = Report()
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, None: "auto"}[arguments.dtype]
    try:
        compare_logits(report, arguments.folder, stored, dtype, arguments.tolerance)
        if not arguments.no_tokenizer:
            compare_tokenizer(report, arguments.folder, stored, metadata)
    except Exception as e:
        report.line("loading", False, f"{type(e).__name__}: {e}")
    print("PASS" if report.passed else "FAIL")
    return 0 if report.passed else 1


if __name__ == "__main__":
    sys.exit(main())
