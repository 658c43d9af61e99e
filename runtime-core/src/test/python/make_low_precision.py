#!/usr/bin/env python3
"""Makes reference/low-precision.safetensors: 8-bit floats and products of scaled matrices, by PyTorch.

    python3 make_low_precision.py [--out runtime-core/src/test/resources/reference/low-precision.safetensors]
"""

import argparse
import pathlib

import torch

from reference_support import write_safetensors

ROWS, COLUMNS, SHARED = 48, 40, 96
TYPES = {"e4m3": torch.float8_e4m3fn, "e5m2": torch.float8_e5m2}


def values(kind, generator):
    """All values of a type, what lies half-way between two, and random magnitudes; nothing that saturates."""
    decoded = torch.arange(256, dtype=torch.uint8).view(kind).float()
    finite = decoded[decoded.isfinite()].unique()
    middle = (finite[:-1] + finite[1:]) / 2
    largest = finite.max().log2().item()
    exponents = torch.rand(1000, generator=generator) * (largest + 20) - 20
    random = torch.exp2(exponents) * torch.where(torch.rand(1000, generator=generator) < 0.5, -1.0, 1.0)
    return torch.cat((finite, middle, random)), decoded


def rounded(x, kind, by_row):
    amax = x.abs().amax(1, keepdim=True) if by_row else x.abs().max()
    scale = amax / torch.finfo(kind).max
    return (x * (1 / scale)).to(kind), scale


def rounded_int8(x):
    scale = x.abs().amax(1, keepdim=True) / 127
    return (x * (1 / scale)).round().to(torch.int8), scale


def main():
    here = pathlib.Path(__file__).resolve().parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = here.parent / "resources" / "reference" / "low-precision.safetensors"
    parser.add_argument("--out", type=pathlib.Path, default=default)
    arguments = parser.parse_args()
    generator = torch.Generator().manual_seed(8)
    tensors = {}
    for name, kind in TYPES.items():
        x, decoded = values(kind, generator)
        tensors[name + ".decoded"] = decoded
        tensors[name + ".x"] = x
        tensors[name + ".bits"] = x.to(kind)
    a = torch.randn(ROWS, SHARED, generator=generator) * torch.rand(ROWS, 1, generator=generator)
    b = torch.randn(COLUMNS, SHARED, generator=generator) * 0.02
    tensors |= {"a": a, "b": b}
    for name, kind, by_row in (
        ("current", torch.float8_e4m3fn, False),
        ("gradient", torch.float8_e5m2, False),
        ("rowwise", torch.float8_e4m3fn, True),
    ):
        qa, sa = rounded(a, kind, by_row)
        qb, sb = rounded(b, torch.float8_e4m3fn, by_row)
        y = torch._scaled_mm(qa, qb.t(), scale_a=sa, scale_b=sb.t() if by_row else sb, out_dtype=torch.float32)
        tensors |= {name + ".a": qa, name + ".b": qb, name + ".y": y}
        tensors |= {name + ".scale_a": sa.reshape(-1), name + ".scale_b": sb.reshape(-1)}
    qa, sa = rounded_int8(a)
    qb, sb = rounded_int8(b)
    y = torch._int_mm(qa, qb.t()).float() * sa * sb.t()
    tensors |= {"int8.a": qa, "int8.b": qb, "int8.y": y}
    tensors |= {"int8.scale_a": sa.reshape(-1), "int8.scale_b": sb.reshape(-1)}
    write_safetensors(arguments.out, tensors, {"torch": torch.__version__})
    print(f"{arguments.out}: {len(tensors)} tensors, {arguments.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
