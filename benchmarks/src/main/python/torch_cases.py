"""What bench times of PyTorch, kernel by kernel: each row in every way that PyTorch has of doing it, and the same
in doubles for its error. Inputs are random; those of a row are the same for all its variants."""

import math


def dtype(torch, name):
    return {"bf16": torch.bfloat16, "f16": torch.float16, "f32": torch.float32}[name]


class Case:
    """variants: name -> function that runs once and returns its outputs; error(outputs) -> largest relative error."""

    spoils = False

    def __init__(self, torch, row, device, compiles):
        self.torch, self.row, self.device, self.compiles = torch, row, device, compiles
        self.dtype = dtype(torch, row["dtype"])
        self.variants = {}

    def reset(self):
        """Inputs that a run overwrites, made again."""

    def normal(self, *shape, deviation=1.0, dtype=None):
        x = self.torch.empty(shape, device=self.device, dtype=dtype or self.dtype)
        return x.normal_(0.0, deviation)

    def ways(self, function, *inputs):
        """eager and compiled; rows with small kernels gain from max-autotune's search."""
        self.variants["eager"] = lambda: function(*inputs)
        if self.compiles:
            compiled = self.torch.compile(function, dynamic=False)
            self.variants["compile"] = lambda: compiled(*inputs)

    def backward_ways(self, function, inputs, dy, wanted):
        """Of the backward pass alone: the forward runs once, before."""
        torch = self.torch
        leaves = [x.requires_grad_() for x in wanted]

        def timed(f):
            made = []

            def run():
                if not made:
                    made.append(f(*inputs))
                return torch.autograd.grad(made[0], leaves, dy, retain_graph=True)

            return run

        self.variants["eager"] = timed(function)
        if self.compiles:
            self.variants["compile"] = timed(torch.compile(function, dynamic=False))

    def doubles(self, function, inputs, dy=None, wanted=None):
        """The outputs of function on doubles, or its gradients of the inputs numbered in wanted."""
        torch = self.torch
        x = [i.detach().double().requires_grad_(wanted is not None) for i in inputs]
        y = function(*x)
        if wanted is None:
            return y if isinstance(y, tuple) else (y,)
        return torch.autograd.grad(y, [x[i] for i in wanted], dy.double())


def worst(pairs):
    error = 0.0
    for got, exact in pairs:
        difference = (got.double() - exact).abs().max().item()
        if math.isnan(difference):
            return float("inf")
        if difference:
            error = max(error, difference / exact.abs().max().item())
    return error


class Matmul(Case):
    def __init__(self, *args):
        super().__init__(*args)
        torch, row = self.torch, self.row
        F = torch.nn.functional
        m, n, k = row["m"], row["n"], row["k"]
        bias = self.normal(n) if row.get("bias") else None
        if row["form"] == "forward":
            x, w = self.normal(m, k), self.normal(n, k, deviation=k ** -0.5)
            if row.get("gelu"):
                # the value before GELU too, which the backward pass needs
                def function(x, w, bias):
                    pre = F.linear(x, w, bias)
                    return F.gelu(pre, approximate="tanh"), pre
            else:
                def function(x, w, bias):
                    return F.linear(x, w, bias)
            inputs = (x, w, bias)
        elif row["form"] == "input gradient":
            inputs = (self.normal(m, n), self.normal(n, k, deviation=k ** -0.5))

            def function(dy, w):
                return dy @ w
        else:
            inputs = (self.normal(m, n), self.normal(m, k))

            def function(dy, x):
                return dy.t() @ x
        self.function, self.inputs = function, inputs
        self.ways(function, *inputs)
        if self.compiles and self.device == "cuda":
            tuned = torch.compile(function, mode="max-autotune-no-cudagraphs", dynamic=False)
            self.variants["compile max-autotune"] = lambda: tuned(*inputs)

    def error(self, outputs):
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        first, *rest = self.inputs
        if self.row["form"] == "weight gradient":
            exact = (first[:, :128].double().t() @ rest[0].double(),)
            return worst([(outputs[0][:128], exact[0])])
        exact = self.function(first[:128].double(), *[None if r is None else r.double() for r in rest])
        exact = exact if isinstance(exact, tuple) else (exact,)
        return worst([(o[:128], e) for o, e in zip(outputs, exact)])


class Linear(Case):
    """A linear layer forward and both gradients: in the row's dtype ("dense"), and where PyTorch has products for the
    row's recipe by torch._scaled_mm with all casts, which want the second operand transposed."""

    SCALED = {"fp8-current": None, "fp8-rowwise": 1}  # the dimension that shares a scale

    def __init__(self, *args):
        super().__init__(*args)
        torch, row = self.torch, self.row
        m, n, k = row["m"], row["n"], row["k"]
        self.inputs = self.normal(m, k), self.normal(n, k, deviation=k ** -0.5), self.normal(m, n)
        self.add("dense", self.dense)
        if row["recipe"] in self.SCALED:
            self.dim = self.SCALED[row["recipe"]]
            self.add("scaled_mm", self.scaled)

    def add(self, name, function):
        self.variants[name + " eager"] = lambda: function(*self.inputs)
        if self.compiles:
            compiled = self.torch.compile(function, dynamic=False)
            self.variants[name + " compile"] = lambda: compiled(*self.inputs)

    @staticmethod
    def dense(x, w, dy):
        return x @ w.t(), dy @ w, dy.t() @ x

    def cast(self, x, dtype):
        largest = self.torch.finfo(dtype).max
        magnitude = x.abs().amax() if self.dim is None else x.abs().amax(self.dim, keepdim=True)
        scale = magnitude.float().clamp(min=1e-12) / largest
        return (x.float() / scale).clamp(-largest, largest).to(dtype), scale

    def both(self, x, dtype):
        """As it is and transposed, each with its scales."""
        if self.dim is None:
            q, scale = self.cast(x, dtype)
            return (q, scale), (q.t().contiguous(), scale)
        return self.cast(x, dtype), self.cast(x.t(), dtype)

    def multiply(self, a, b):
        """a b^T, both with rows of the shared dimension."""
        # accumulates as ours does, in more than the tensor cores' few bits
        return self.torch._scaled_mm(a[0].contiguous(), b[0].contiguous().t(), scale_a=a[1], scale_b=b[1].t(),
                                     out_dtype=self.dtype, use_fast_accum=False)

    def scaled(self, x, w, dy):
        torch = self.torch
        x, xt = self.both(x, torch.float8_e4m3fn)
        w, wt = self.both(w, torch.float8_e4m3fn)
        d, dt = self.both(dy, torch.float8_e5m2)
        return self.multiply(x, w), self.multiply(d, wt), self.multiply(dt, xt)

    def error(self, outputs):
        x, w, dy = (t.double() for t in self.inputs)
        some = slice(0, 128)
        exact = x[some] @ w.t(), dy[some] @ w, dy[:, some].t() @ x
        return worst([(o[some], e) for o, e in zip(outputs, exact)])


class Attention(Case):
    """Every backend of scaled_dot_product_attention, forced in turn, and PyTorch's own choice."""

    def __init__(self, *args):
        super().__init__(*args)
        torch, row = self.torch, self.row
        from torch.nn.attention import SDPBackend, sdpa_kernel

        b, t, h, kv, d = (row[key] for key in ("batch", "time", "heads", "kv_heads", "head_dim"))
        packed = self.normal(b, t, (h + 2 * kv) * d)
        parts = packed.split([h * d, kv * d, kv * d], dim=2)
        self.qkv = [x.view(b, t, -1, d).transpose(1, 2) for x in parts]
        self.dy = self.normal(b, t, h, d).transpose(1, 2)
        self.grouped = kv != h
        self.gradient = row.get("gradient", False)
        backends = {"sdpa default": None, "sdpa flash": SDPBackend.FLASH_ATTENTION, "sdpa math": SDPBackend.MATH}
        if self.device == "cuda":
            backends["sdpa cudnn"] = SDPBackend.CUDNN_ATTENTION
            backends["sdpa efficient"] = SDPBackend.EFFICIENT_ATTENTION
        for name, backend in backends.items():
            self.variants[name] = self.forced(backend, sdpa_kernel)

    def forced(self, backend, sdpa_kernel):
        torch, made = self.torch, []
        leaves = [x.detach().requires_grad_(self.gradient) for x in self.qkv]

        def forward():
            return torch.nn.functional.scaled_dot_product_attention(*leaves, is_causal=True, enable_gqa=self.grouped)

        def run():
            if backend is None:
                return once()
            with sdpa_kernel(backend):
                return once()

        def once():
            if not self.gradient:
                return forward()
            if not made:
                made.append(forward())
            return torch.autograd.grad(made[0], leaves, self.dy, retain_graph=True)

        return run

    def error(self, outputs):
        """Of the last sequence, its first and last group of heads."""
        torch, row = self.torch, self.row
        group = row["heads"] // row["kv_heads"]
        pairs = []
        for kv in {0, row["kv_heads"] - 1}:
            heads = slice(kv * group, (kv + 1) * group)
            q, k, v = (x[-1, s].detach().double().requires_grad_(self.gradient)
                       for x, s in zip(self.qkv, (heads, slice(kv, kv + 1), slice(kv, kv + 1))))
            scores = q @ k.transpose(-1, -2) / math.sqrt(row["head_dim"])
            mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=self.device).triu(1)
            y = scores.masked_fill(mask, -math.inf).softmax(-1) @ v
            if self.gradient:
                exact = torch.autograd.grad(y, (q, k, v), self.dy[-1, heads].double())
                got = (outputs[0][-1, heads], outputs[1][-1, kv:kv + 1], outputs[2][-1, kv:kv + 1])
                pairs += zip(got, exact)
            else:
                pairs.append((outputs[-1, heads], y))
        return worst(pairs)


class Norm(Case):
    def __init__(self, *args):
        super().__init__(*args)
        row, F = self.row, self.torch.nn.functional
        n, c = row["rows"], row["width"]
        x, weight, bias = self.normal(n, c), self.normal(c), self.normal(c)
        layer = row["function"] == "layer norm"

        def norm(x, weight, bias):
            return F.layer_norm(x, (c,), weight, bias, 1e-5) if layer else F.rms_norm(x, (c,), weight, 1e-5)

        def added(x, residual, weight, bias):
            total = x + residual
            return norm(total, weight, bias), total

        self.dy = None
        if row.get("gradient"):
            self.function, self.inputs, self.dy = norm, (x, weight, bias), self.normal(n, c)
            self.wanted = (0, 1, 2) if layer else (0, 1)
            self.backward_ways(norm, self.inputs, self.dy, [self.inputs[i] for i in self.wanted])
        elif row.get("residual"):
            self.function, self.inputs = added, (x, self.normal(n, c), weight, bias)
            self.ways(added, *self.inputs)
        else:
            self.function, self.inputs = norm, (x, weight, bias)
            self.ways(norm, *self.inputs)

    def error(self, outputs):
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        if self.dy is None and self.row.get("residual"):
            # the sum is rounded before it is normed, on both sides
            total = self.inputs[0].double() + self.inputs[1].double()
            normed = self.doubles(lambda t, w, b: self.function(t, self.torch.zeros_like(t), w, b)[0],
                                  (outputs[1], *self.inputs[2:]))[0]
            return worst([(outputs[0], normed), (outputs[1], total)])
        exact = self.doubles(self.function, self.inputs, self.dy, None if self.dy is None else self.wanted)
        return worst(zip(outputs, exact))


class Activation(Case):
    def __init__(self, *args):
        super().__init__(*args)
        row, F = self.row, self.torch.nn.functional
        n, f = row["rows"], row["width"]
        if row["function"] == "gelu":
            x = self.normal(n, f)

            def function(x):
                return F.gelu(x, approximate="tanh")
        else:
            x = self.normal(n, 2 * f)

            def function(x):
                gate, up = x.chunk(2, dim=-1)
                return F.silu(gate) * up
        self.function, self.inputs = function, (x,)
        self.dy = self.normal(n, f) if row.get("gradient") else None
        if self.dy is None:
            self.ways(function, x)
        else:
            self.backward_ways(function, (x,), self.dy, [x])

    def error(self, outputs):
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        return worst(zip(outputs, self.doubles(self.function, self.inputs, self.dy, None if self.dy is None else (0,))))


class CrossEntropy(Case):
    """Losses, and the gradient of their mean."""

    def __init__(self, *args):
        super().__init__(*args)
        torch, row = self.torch, self.row
        n, v = row["rows"], row["vocabulary"]
        self.logits = self.normal(n, v).requires_grad_()
        self.labels = torch.randint(v, (n,), device=self.device)

        def function(logits, labels):
            return torch.nn.functional.cross_entropy(logits, labels, reduction="none")

        def timed(f):
            def run():
                losses = f(self.logits, self.labels)
                return losses.detach(), torch.autograd.grad(losses.float().mean(), self.logits)[0]
            return run

        self.variants["eager"] = timed(function)
        if self.compiles:
            self.variants["compile"] = timed(torch.compile(function, dynamic=False))

    def error(self, outputs):
        torch = self.torch
        some = torch.linspace(0, self.row["rows"] - 1, min(64, self.row["rows"]), device=self.device).long()
        x, labels = self.logits.detach()[some].double(), self.labels[some]
        exact = torch.nn.functional.cross_entropy(x, labels, reduction="none")
        p = x.softmax(-1)
        p[torch.arange(len(some), device=self.device), labels] -= 1
        return worst([(outputs[0][some], exact), (outputs[1][some], p / self.row["rows"])])


class EmbeddingGradient(Case):
    def __init__(self, *args):
        super().__init__(*args)
        torch, row = self.torch, self.row
        dy = self.normal(row["rows"], row["width"])
        ids = torch.randint(row["vocabulary"], (row["rows"],), device=self.device)
        self.dy, self.ids = dy, ids
        self.variants["eager"] = lambda: torch.ops.aten.embedding_dense_backward(dy, ids, row["vocabulary"], -1, False)

    def error(self, outputs):
        exact = self.torch.zeros(outputs.shape, device=self.device, dtype=self.torch.float64)
        return worst([(outputs, exact.index_add_(0, self.ids, self.dy.double()))])


class Moving(Case):
    def __init__(self, *args):
        super().__init__(*args)
        torch, row = self.torch, self.row
        b, t, h, d = (row[key] for key in ("batch", "time", "heads", "head_dim"))
        x = self.normal(b, t, h, d)
        self.x = x
        if row["function"] == "copy":
            self.variants["eager"] = x.clone
        elif row["function"] == "permute":
            self.ways(lambda x: x.transpose(1, 2).contiguous(), x)
        else:
            angle = torch.outer(torch.arange(t, dtype=torch.float64),
                                10000.0 ** (-torch.arange(0, d, 2, dtype=torch.float64) / d))
            angle = torch.cat((angle, angle), dim=-1).to(self.device)[None, :, None, :]
            self.angle = angle
            cos, sin = angle.cos().to(self.dtype), angle.sin().to(self.dtype)
            self.ways(self.rotate, x, cos, sin)

    def rotate(self, x, cos, sin):
        left, right = x.chunk(2, dim=-1)
        return x * cos + self.torch.cat((-right, left), dim=-1) * sin

    def error(self, outputs):
        x = self.x.double()
        if self.row["function"] == "copy":
            return worst([(outputs, x)])
        if self.row["function"] == "permute":
            return worst([(outputs, x.transpose(1, 2))])
        return worst([(outputs, self.rotate(x, self.angle.cos(), self.angle.sin()))])


class Optimizer(Case):
    """clip_grad_norm_ + fused AdamW + the bf16 copy of the weights; gradients are F32, as those of F32 weights are."""

    def __init__(self, *args):
        super().__init__(*args)
        torch, row = self.torch, self.row
        n = row["elements"] // 256 * 256
        f32 = torch.float32
        self.weights = torch.nn.Parameter(self.normal(n, deviation=0.02, dtype=f32))
        self.weights.grad = self.normal(n, deviation=1e-2, dtype=f32)
        self.rounded = None if self.dtype == f32 else self.normal(n)
        self.optimizer = torch.optim.AdamW([self.weights], lr=3e-4, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1,
                                           fused=True)
        self.optimizer.step()  # makes the state
        ends = torch.cat((torch.arange(64), torch.arange(n - 64, n))).to(self.device)
        self.ends = ends

        def run():
            torch.nn.utils.clip_grad_norm_([self.weights], 1.0)
            self.optimizer.step()
            if self.rounded is not None:
                self.rounded.copy_(self.weights.detach())
            return self.weights, self.rounded

        self.variants["eager fused"] = run
        self.before = None

    def reset(self):
        """What the elements at both ends are before the run that is checked."""
        state = self.optimizer.state[self.weights]
        self.before = [x.detach()[self.ends].double()
                       for x in (self.weights, self.weights.grad, state["exp_avg"], state["exp_avg_sq"])]
        self.norm = self.weights.grad.norm(dtype=self.torch.float64).item()
        self.steps = int(state["step"].item())

    def error(self, outputs):
        w, g, m, v = self.before
        t = self.steps + 1
        g = g * min(1.0, 1.0 / (self.norm + 1e-6))
        m, v = 0.9 * m + 0.1 * g, 0.95 * v + 0.05 * g * g
        update = m / (1 - 0.9 ** t) / ((v / (1 - 0.95 ** t)).sqrt() + 1e-8)
        exact = w * (1 - 3e-4 * 0.1) - 3e-4 * update
        return worst([(o.detach()[self.ends], exact) for o in outputs if o is not None])


KINDS = {
    "matmul": Matmul, "linear": Linear, "int4": Matmul, "attention": Attention, "norm": Norm, "activation": Activation, "cross entropy": CrossEntropy,
    "embedding gradient": EmbeddingGradient, "moving": Moving, "optimizer": Optimizer,
}


def build(torch, row, device, compiles):
    return KINDS[row["kind"]](torch, row, device, compiles)
