"""Whole training steps of PyTorch: GPT-2 and Llama as their authors wrote them, autocast to bf16 over F32 weights (or
F32 alone), clip_grad_norm_ and fused AdamW."""

import contextlib

DISTINCT = 64  # tokens that occur, as in StepServer


def variants(row, device, compiles):
    names = ["eager"]
    if compiles:
        names.append("compile")
    if device == "cuda":
        names.append("eager, sdpa cudnn")
        if compiles:
            names.append("compile, sdpa cudnn")
            if row.get("launch_bound"):
                names += ["compile reduce-overhead", "compile max-autotune"]
    return names


def build(torch, row):
    nn, F = torch.nn, torch.nn.functional
    width, heads, kv, hidden = row["width"], row["heads"], row["kv_heads"], row["hidden"]
    head_dim = width // heads

    def attend(query, key, value):
        y = F.scaled_dot_product_attention(query, key, value, is_causal=True, enable_gqa=kv != heads)
        return y.transpose(1, 2).flatten(2)

    class GptBlock(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm_1, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.up, self.down = nn.Linear(width, hidden), nn.Linear(hidden, width)

        def forward(self, x, _):
            b, t, _ = x.shape
            packed = self.qkv(self.norm_1(x)).view(b, t, 3, heads, head_dim)
            x = x + self.out(attend(*packed.permute(2, 0, 3, 1, 4).unbind(0)))
            return x + self.down(F.gelu(self.up(self.norm_2(x)), approximate="tanh"))

    class LlamaBlock(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm_1, self.norm_2 = nn.RMSNorm(width, eps=1e-5), nn.RMSNorm(width, eps=1e-5)
            self.qkv = nn.Linear(width, (heads + 2 * kv) * head_dim, bias=False)
            self.out = nn.Linear(width, width, bias=False)
            self.gate_up = nn.Linear(width, 2 * hidden, bias=False)
            self.down = nn.Linear(hidden, width, bias=False)

        def forward(self, x, angles):
            b, t, _ = x.shape
            packed = self.qkv(self.norm_1(x)).view(b, t, heads + 2 * kv, head_dim)
            turned, value = packed.split([heads + kv, kv], dim=2)
            left, right = turned.chunk(2, dim=-1)
            cos, sin = (a.to(x.dtype) for a in angles)
            turned = turned * cos + torch.cat((-right, left), dim=-1) * sin
            query, key = turned.split([heads, kv], dim=2)
            x = x + self.out(attend(query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2)))
            gate, up = self.gate_up(self.norm_2(x)).chunk(2, dim=-1)
            return x + self.down(F.silu(gate) * up)

    class Decoder(nn.Module):
        def __init__(self):
            super().__init__()
            gpt = row["type"] == "gpt2"
            self.tokens = nn.Embedding(row["vocabulary"], width)
            self.positions = nn.Embedding(row["time"], width) if gpt else None
            self.blocks = nn.ModuleList((GptBlock if gpt else LlamaBlock)() for _ in range(row["layers"]))
            self.norm = nn.LayerNorm(width) if gpt else nn.RMSNorm(width, eps=1e-5)
            self.head = nn.Linear(width, row["vocabulary"], bias=False)
            if row["tied"]:
                self.head.weight = self.tokens.weight
            angle = torch.outer(torch.arange(row["time"]),
                                10000.0 ** (-torch.arange(0, head_dim, 2).float() / head_dim))
            angle = torch.cat((angle, angle), dim=-1)[None, :, None, :]
            self.register_buffer("cos", angle.cos(), persistent=False)
            self.register_buffer("sin", angle.sin(), persistent=False)
            into_residual = 0.02 / (2 * row["layers"]) ** 0.5
            for name, p in self.named_parameters():
                if p.dim() == 2:
                    nn.init.normal_(p, std=into_residual if name.endswith(("out.weight", "down.weight")) else 0.02)
                elif name.endswith("bias"):
                    nn.init.zeros_(p)

        def forward(self, ids, targets):
            x = self.tokens(ids)
            if self.positions is not None:
                x = x + self.positions.weight
            for block in self.blocks:
                x = block(x, (self.cos, self.sin))
            return F.cross_entropy(self.head(self.norm(x)).flatten(0, 1), targets.flatten())

    return Decoder()


class Trainer:
    def __init__(self, torch, row, variant, device):
        self.torch, self.row, self.device = torch, row, device
        torch.manual_seed(1)
        with torch.device(device):
            self.model = build(torch, row)
        self.parameters = list(self.model.parameters())
        self.parameter_count = sum(p.numel() for p in self.parameters)
        matrices = [p for p in self.parameters if p.dim() >= 2]
        vectors = [p for p in self.parameters if p.dim() < 2]
        self.optimizer = torch.optim.AdamW(
            [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}],
            lr=row["learning_rate"], betas=(0.9, 0.95), eps=1e-8, fused=True)
        self.forced = "cudnn" in variant
        self.loss = self.model
        if variant.startswith("compile"):
            mode = next((m for m in ("reduce-overhead", "max-autotune") if m in variant), "default")
            self.loss = torch.compile(self.model, mode=mode, dynamic=False)
        self.batches = self.data()
        self.done = 0

    def data(self):
        """Some batches on the device, so that no step waits for one."""
        torch, row = self.torch, self.row
        distinct = min(DISTINCT, row["vocabulary"] // 2)
        random = torch.Generator().manual_seed(1)
        shape = (16, row["batch"], row["time"] + 1)
        ids = torch.randint(distinct, shape, generator=random) * (row["vocabulary"] // distinct)
        return ids.to(self.device)

    def attention(self):
        if not self.forced:
            return contextlib.nullcontext()
        from torch.nn.attention import SDPBackend, sdpa_kernel
        return sdpa_kernel(SDPBackend.CUDNN_ATTENTION)

    def step(self):
        torch, batch = self.torch, self.batches[self.done % len(self.batches)]
        half = self.row["dtype"] == "bf16"
        with torch.autocast(self.device, torch.bfloat16, enabled=half), self.attention():
            loss = self.loss(batch[:, :-1], batch[:, 1:])
            loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.done += 1
        return loss.detach()
