#!/usr/bin/env python3
"""PyTorch's side of the step benchmark: one training step of a GPT on the CPU, driven line by line.

    python3 torch_step.py --model char-gpt --precision fp32 [--compile] [--threads N] [--seed N] [--stock-malloc]

models       char-gpt     6 layers,  6 heads, width 384, T 256, B 8, vocabulary 128
             gpt2-124m   12 layers, 12 heads, width 768, T 256, B 4, vocabulary 50304
one step     forward + cross entropy + backward + clip to norm 1.0 + fused AdamW + zero_grad; input is made before
--precision  bf16 is autocast: fp32 weights, matrix products in bf16
--stock-malloc  glibc as it comes. Otherwise the process starts itself again with MALLOC_* set so that large buffers
             stay mapped between steps: without it PyTorch pays for page faults that say nothing about its kernels.

protocol     one command per line on stdin, one JSON object per line on stdout, stderr is for people. The first object
             comes unasked, when the model is built: {"ready": true, "model", "precision", "compiled", "parameters",
             "tokens_per_step", "threads", "torch", "cpu_capability", "malloc_tuned", "pid"}
  warmup N   N steps -> {"warmup": N, "total_ms"}; with --compile the compilation happens here
  run N      N steps -> {"run": N, "step_ms": [N], "losses": [N], "peak_rss_bytes"}
  quit       ends with code 0, as does the end of stdin
Anything else, or a step that fails, is answered by {"error": "..."}. While it waits it uses no CPU, so that a caller can
alternate with another process.
"""

import argparse
import dataclasses
import json
import os
import resource
import sys
import time

# thresholds above any single buffer of the two models; the pad asks the kernel for memory in large pieces
MALLOC = {
    "MALLOC_MMAP_THRESHOLD_": str(1 << 33),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 34),
    "MALLOC_TOP_PAD_": str(1 << 28),
}


@dataclasses.dataclass(frozen=True)
class Size:
    layers: int
    heads: int
    width: int
    time: int
    batch: int
    vocab: int


SIZES = {
    "char-gpt": Size(layers=6, heads=6, width=384, time=256, batch=8, vocab=128),
    "gpt2-124m": Size(layers=12, heads=12, width=768, time=256, batch=4, vocab=50304),
}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=sorted(SIZES), default="char-gpt")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--compile", action="store_true", help="torch.compile the forward")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--stock-malloc", action="store_true")
    return parser.parse_args()


def with_tuned_malloc():
    """glibc reads these once, before main: hence the second start, under the same process id."""
    if any(os.environ.get(name) != value for name, value in MALLOC.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **MALLOC})


def build(torch, size):
    nn, F = torch.nn, torch.nn.functional

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            w = size.width
            self.norm_1, self.norm_2 = nn.LayerNorm(w), nn.LayerNorm(w)
            self.qkv, self.out = nn.Linear(w, 3 * w), nn.Linear(w, w)
            self.up, self.down = nn.Linear(w, 4 * w), nn.Linear(4 * w, w)

        def forward(self, x):
            b, t, w = x.shape
            packed = self.qkv(self.norm_1(x)).view(b, t, 3, size.heads, w // size.heads)
            query, key, value = packed.permute(2, 0, 3, 1, 4).unbind(0)
            mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
            x = x + self.out(mixed.transpose(1, 2).reshape(b, t, w))
            return x + self.down(F.gelu(self.up(self.norm_2(x)), approximate="tanh"))

    class Gpt(nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens = nn.Embedding(size.vocab, size.width)  # also the output layer
            self.positions = nn.Embedding(size.time, size.width)
            self.blocks = nn.Sequential(*(Block() for _ in range(size.layers)))
            self.norm = nn.LayerNorm(size.width)
            residual_std = 0.02 / (2 * size.layers) ** 0.5
            for name, parameter in self.named_parameters():
                if parameter.dim() == 2:
                    into_residual = name.endswith(("out.weight", "down.weight"))
                    nn.init.normal_(parameter, std=residual_std if into_residual else 0.02)
                elif name.endswith("bias"):
                    nn.init.zeros_(parameter)

        def forward(self, ids, targets):
            x = self.tokens(ids) + self.positions.weight[: ids.shape[1]]
            logits = F.linear(self.norm(self.blocks(x)), self.tokens.weight)
            return F.cross_entropy(logits.flatten(0, 1), targets.flatten())

    return Gpt()


class Trainer:
    def __init__(self, torch, options):
        self.torch, self.size = torch, SIZES[options.model]
        torch.manual_seed(options.seed)
        self.model = build(torch, self.size)
        self.parameters = list(self.model.parameters())
        matrices = [p for p in self.parameters if p.dim() >= 2]
        vectors = [p for p in self.parameters if p.dim() < 2]
        self.optimizer = torch.optim.AdamW(
            [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}],
            lr=3e-4, betas=(0.9, 0.95), eps=1e-8, fused=True,
        )
        self.loss = torch.compile(self.model) if options.compile else self.model
        self.autocast = options.precision == "bf16"
        self.random = torch.Generator().manual_seed(options.seed)

    def steps(self, count):
        millis, losses = [], []
        for _ in range(count):
            size = self.size
            row = self.torch.randint(size.vocab, (size.batch, size.time + 1), generator=self.random)
            ids, targets = row[:, :-1].contiguous(), row[:, 1:].contiguous()
            begin = time.perf_counter_ns()
            losses.append(self.step(ids, targets))
            millis.append((time.perf_counter_ns() - begin) / 1e6)
        return millis, losses

    def step(self, ids, targets):
        torch = self.torch
        with torch.autocast("cpu", torch.bfloat16, enabled=self.autocast):
            loss = self.loss(ids, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss.item()


def answer(trainer, line):
    words = line.split()
    if len(words) != 2 or words[0] not in ("warmup", "run") or not words[1].isdecimal() or int(words[1]) < 1:
        return {"error": f"unknown command {line.strip()!r}; there are: warmup N, run N, quit (N >= 1)"}
    count = int(words[1])
    millis, losses = trainer.steps(count)
    if words[0] == "warmup":
        return {"warmup": count, "total_ms": round(sum(millis), 3)}
    return {
        "run": count,
        "step_ms": [round(ms, 3) for ms in millis],
        "losses": losses,
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,  # Linux counts in KiB
    }


def main():
    options = arguments()
    if not options.stock_malloc:
        with_tuned_malloc()
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # a compiler or library that prints must not break the protocol

    import torch

    torch.set_num_threads(options.threads)
    trainer = Trainer(torch, options)

    def reply(value):
        replies.write(json.dumps(value) + "\n")
        replies.flush()

    reply({
        "ready": True, "model": options.model, "precision": options.precision, "compiled": options.compile,
        "parameters": sum(p.numel() for p in trainer.parameters),
        "tokens_per_step": trainer.size.batch * trainer.size.time, "threads": torch.get_num_threads(),
        "torch": torch.__version__, "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "malloc_tuned": not options.stock_malloc, "pid": os.getpid(),
    })
    for line in sys.stdin:
        if line.strip() == "quit":
            break
        if not line.strip():
            continue
        try:
            reply(answer(trainer, line))
        except Exception as e:
            reply({"error": f"{type(e).__name__}: {e}"})


if __name__ == "__main__":
    main()
