#!/usr/bin/env python3
"""Makes the reference files that the Java tests compare with: two tiny models, each in fp32 and in bf16.

    python3 make_references.py [--out runtime-core/src/test/resources/reference]

What the files hold is described in README.md in the folder that they are written to.
"""

import argparse
import copy
import json
import math
import os
import pathlib

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
import transformers  # noqa: E402
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM  # noqa: E402

from reference_support import only_double, to_double, write_safetensors  # noqa: E402

SEED = 20250
BATCH, TIME, STEPS = 3, 17, 20
IGNORED = -100
PEAK, FLOOR, WARMUP = 1e-3, 1e-4, 5
BETA1, BETA2, EPSILON, DECAY, MAX_NORM = 0.9, 0.95, 1e-8, 0.1, 1.0
SCHEDULE = (
    "s = 1..20; lr(s) = 1e-3 * s / 5 for s <= 5; "
    "lr(s) = 1e-4 + 0.5 * (1e-3 - 1e-4) * (1 + cos(pi * (s - 5) / 15)) for s > 5"
)


def learning_rate(step):
    if step <= WARMUP:
        return PEAK * step / WARMUP
    return FLOOR + 0.5 * (PEAK - FLOOR) * (1 + math.cos(math.pi * (step - WARMUP) / (STEPS - WARMUP)))


def gpt2():
    config = GPT2Config(
        vocab_size=101, n_positions=32, n_embd=48, n_layer=2, n_head=3, activation_function="gelu_new",
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=0, eos_token_id=0,
        attn_implementation="sdpa",
    )
    return GPT2LMHeadModel(config)


def llama():
    config = LlamaConfig(
        vocab_size=97, hidden_size=48, intermediate_size=80, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=12, max_position_embeddings=32, rms_norm_eps=1e-5,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0}, tie_word_embeddings=False,
        bos_token_id=1, eos_token_id=2, attn_implementation="sdpa",
    )
    return LlamaForCausalLM(config)


def initialise(model):
    """Large enough that softmax is not flat, and no bias or gain keeps the value at which its mistake would not show."""
    random = torch.Generator().manual_seed(SEED)
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            noise = torch.randn(parameter.shape, generator=random)
            if parameter.dim() >= 2:
                parameter.copy_(0.12 * noise)
            elif name.endswith("bias"):
                parameter.copy_(0.05 * noise)
            else:
                parameter.copy_(1 + 0.1 * noise)


def batches(vocab):
    """x[t+1] = (3 x[t] + 7) mod vocab with 15 % of noise: something that 20 steps can begin to learn."""
    random = torch.Generator().manual_seed(SEED + 1)
    tokens = torch.empty(STEPS, BATCH, TIME + 1, dtype=torch.int64)
    tokens[:, :, 0] = torch.randint(vocab, (STEPS, BATCH), generator=random)
    tokens[:, 0, 0], tokens[:, 1, 0] = 0, vocab - 1  # both ends of the table
    for t in range(TIME):
        noise = torch.randint(vocab, (STEPS, BATCH), generator=random)
        keep = torch.rand(STEPS, BATCH, generator=random) >= 0.15
        tokens[:, :, t + 1] = torch.where(keep, (3 * tokens[:, :, t] + 7) % vocab, noise)
    inputs, labels = tokens[:, :, :-1].clone(), tokens[:, :, 1:].clone()
    labels[:, 0, :3] = IGNORED  # a prompt
    labels[:, 2, -2:] = IGNORED  # padding
    for step in range(STEPS):
        labels[step, 1, (5 * step + 4) % TIME] = IGNORED
    return inputs, labels


def forward(model, inputs, labels):
    logits = model(input_ids=inputs, use_cache=False).logits
    wide = logits if logits.dtype == torch.float64 else logits.float()
    loss = F.cross_entropy(wide.flatten(0, 1), labels.flatten(), ignore_index=IGNORED)
    return logits, loss


def gradient_norm(gradients):
    return torch.sqrt(sum(g.double().square().sum() for g in gradients))


def one_step(model, inputs, labels, double):
    with only_double(double):
        logits, loss = forward(model, inputs, labels)
        loss.backward()
    gradients = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad(set_to_none=True)
    return logits.detach(), loss.detach(), gradients


def train(model, inputs, labels, master_dtype, double):
    """20 steps of AdamW on master copies; the model's own weights are the rounded masters."""
    weights = dict(model.named_parameters())
    masters = {name: w.detach().to(master_dtype).clone() for name, w in weights.items()}
    groups = [
        {"params": [m for m in masters.values() if m.dim() >= 2], "weight_decay": DECAY},
        {"params": [m for m in masters.values() if m.dim() < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=0.0, betas=(BETA1, BETA2), eps=EPSILON, foreach=False, fused=False)
    losses, norms = [], []
    for step in range(STEPS):
        with only_double(double):
            _, loss = forward(model, inputs[step], labels[step])
            loss.backward()
        for name, weight in weights.items():
            masters[name].grad = weight.grad.to(master_dtype)
        norms.append(torch.nn.utils.clip_grad_norm_(masters.values(), MAX_NORM, foreach=False))
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step + 1)
        optimizer.step()
        model.zero_grad(set_to_none=True)
        with torch.no_grad():
            for name, weight in weights.items():
                weight.copy_(masters[name])
        losses.append(loss.detach())
    return masters, torch.stack(losses), torch.stack(norms)


def make(folder, build, dtype):
    folder.mkdir(parents=True, exist_ok=True)
    model = build()
    initialise(model)
    tables = {name: buffer.clone() for name, buffer in model.named_buffers() if buffer.is_floating_point()}
    model = model.to(dtype).eval()
    for name, table in tables.items():  # from_pretrained keeps the rotary frequencies in fp32; .to(dtype) does not
        owner, _, leaf = name.rpartition(".")
        setattr(model.get_submodule(owner), leaf, table)
    exact = to_double(copy.deepcopy(model))
    inputs, labels = batches(model.config.vocab_size)
    about = {
        "torch": torch.__version__, "transformers": transformers.__version__, "seed": str(SEED),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(), "attention": "sdpa",
    }

    model.config.dtype = dtype
    config = model.config.to_diff_dict()
    config["architectures"] = [type(model).__name__]
    config["dtype"] = str(dtype).removeprefix("torch.")
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
    weights = {name: p.detach() for name, p in model.named_parameters()}
    write_safetensors(folder / "model.safetensors", weights, {})

    logits, loss, gradients = one_step(model, inputs[0], labels[0], double=False)
    exact_logits, exact_loss, exact_gradients = one_step(exact, inputs[0], labels[0], double=True)
    step = {
        "input_ids": inputs[0].int(), "labels": labels[0].int(), "logits": logits, "loss": loss,
        "grad_norm": gradient_norm(gradients.values()).float(),
        "double.logits": exact_logits, "double.loss": exact_loss,
        "double.grad_norm": gradient_norm(exact_gradients.values()),
    }
    step |= {f"grad.{name}": g for name, g in gradients.items()}
    step |= {f"double.grad.{name}": g.float() for name, g in exact_gradients.items()}
    write_safetensors(folder / "step.safetensors", step, about)

    after, losses, norms = train(model, inputs, labels, torch.float32, double=False)
    exact_after, exact_losses, exact_norms = train(exact, inputs, labels, torch.float64, double=True)
    training = {
        "input_ids": inputs.int(), "labels": labels.int(), "losses": losses, "grad_norms": norms,
        "learning_rates": torch.tensor([learning_rate(s) for s in range(1, STEPS + 1)], dtype=torch.float64),
        "double.losses": exact_losses, "double.grad_norms": exact_norms,
    }
    training |= {f"after.{name}": m for name, m in after.items()}
    if dtype == torch.float32:
        training |= {f"double.after.{name}": m.float() for name, m in exact_after.items()}
    about |= {
        "learning_rate": SCHEDULE,
        "adamw": "betas 0.9 0.95, eps 1e-8, weight_decay 0.1 on dim >= 2, clip 1.0 by max_norm / (norm + 1e-6)",
    }
    write_safetensors(folder / "training.safetensors", training, about)

    def worst(mine, theirs):
        return max(
            ((mine[n].double() - theirs[n]).abs().max() / theirs[n].abs().max()).item() for n in theirs
            if not n.endswith("c_attn.bias")  # its key third is zero but for rounding
        )

    print(
        f"{folder.name}: {sum(p.numel() for p in model.parameters())} parameters,"
        f" loss {loss:.6f} (double {exact_loss:.6f}), grad norm {step['grad_norm']:.4f},"
        f" logits error {(logits.double() - exact_logits).abs().max():.2e}"
        f" of {exact_logits.abs().max():.2f}, worst relative gradient error {worst(gradients, exact_gradients):.2e},"
        f" after {STEPS} steps loss {losses[-1]:.4f} (double {exact_losses[-1]:.4f}),"
        f" norms {norms.min():.2f}..{norms.max():.2f},"
        f" worst relative weight error {worst(after, exact_after):.2e}"
    )


def main():
    here = pathlib.Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, default=here.parent / "resources" / "reference")
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # one thread: the order of the sums does not depend on the machine's cores
    torch.use_deterministic_algorithms(True)
    for name, build in (("gpt2", gpt2), ("llama", llama)):
        for label, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
            make(arguments.out / f"{name}-{label}", build, dtype)


if __name__ == "__main__":
    main()
