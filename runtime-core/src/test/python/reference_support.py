"""What make_references.py and check_transformers.py share: a true double-precision forward and a byte-stable writer."""

import contextlib
import json
import struct

import torch
from torch.utils._python_dispatch import TorchDispatchMode

_NARROW = (torch.float32, torch.bfloat16, torch.float16)


class _NothingNarrower(TorchDispatchMode):
    """Raises as soon as an operation produces a floating-point value narrower than double."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for value in out if isinstance(out, (tuple, list)) else (out,):
            if isinstance(value, torch.Tensor) and value.dtype in _NARROW and value.numel() > 0:
                raise AssertionError(f"double run: {func} produced {value.dtype} {list(value.shape)}")
        return out


def _double_rms_norm(module):
    def forward(x):
        return module.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + module.variance_epsilon))

    return forward


def _double_rotary(config):
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    parameters = getattr(config, "rope_parameters", None) or {}
    if parameters.get("rope_type", "default") != "default":
        raise ValueError(f"double run: rope_type '{parameters['rope_type']}' is not written here; only 'default' is")
    theta = parameters.get("rope_theta") or config.rope_theta
    frequencies = theta ** (-torch.arange(0, head_dim, 2, dtype=torch.float64) / head_dim)

    def forward(x, position_ids, **_):
        angles = position_ids[:, :, None].to(torch.float64) * frequencies
        angles = torch.cat((angles, angles), dim=-1)
        return angles.cos(), angles.sin()

    return forward


def to_double(model):
    """Converts `model` in place. Llama's norm and rotary embedding are replaced: transformers computes those two in
    fp32 whatever the model's dtype, which would leave fp32 errors in the reference."""
    model.double()
    for module in model.modules():
        kind = type(module).__name__
        if kind == "LlamaRMSNorm":
            module.forward = _double_rms_norm(module)
        elif kind == "LlamaRotaryEmbedding":
            module.forward = _double_rotary(model.config)
    return model


@contextlib.contextmanager
def only_double(active=True):
    if not active:
        yield
        return
    with _NothingNarrower():
        yield


# safetensors' own order of dtypes, widest first; the Python package writes metadata in random order, so files made
# twice would differ
_CODE = {
    torch.int64: "I64", torch.float64: "F64", torch.float32: "F32", torch.int32: "I32", torch.bfloat16: "BF16",
    torch.int8: "I8", torch.float8_e4m3fn: "F8_E4M3", torch.float8_e5m2: "F8_E5M2",
}
_ORDER = list(_CODE.values())


def write_safetensors(path, tensors, metadata):
    names = sorted(tensors, key=lambda name: (_ORDER.index(_CODE[tensors[name].dtype]), name))
    header = {"__metadata__": {"format": "pt", **metadata}}
    chunks, offset = [], 0
    for name in names:
        tensor = tensors[name].detach().contiguous()
        raw = tensor.reshape(-1).view(torch.uint8).numpy().tobytes()
        header[name] = {
            "dtype": _CODE[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [offset, offset + len(raw)],
        }
        chunks.append(raw)
        offset += len(raw)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)))
        file.write(text)
        for raw in chunks:
            file.write(raw)
