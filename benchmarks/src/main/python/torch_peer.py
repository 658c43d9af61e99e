#!/usr/bin/env python3
"""PyTorch's side of bench: kernels and whole training steps, driven line by line.

    python3 torch_peer.py [--device cuda|cpu] [--threads N] [--no-compile]

One command per line on stdin, one JSON object per line on stdout; stderr is for people. The first object comes unasked:
{"ready": true, "torch", "device", ...}. While it waits it uses no device, so that a caller can alternate with another
process. A command that fails is answered by {"error": "..."}.

  {"do": "roofline", "dtypes": [...]}      -> {"gigabytes_per_second", "teraflops_<dtype>"...}: best copy, best matmul
  {"do": "prepare", "row": {...}}          -> {"variants": [...]}: the ways PyTorch has of doing this row
  {"do": "check", "variant"}               -> {"error_fp64"}: largest error against doubles; compiles where it must
  {"do": "time", "variant", "repetitions", "launches", "flush_bytes"} -> {"micros": [...]} of one run, by CUDA events
  {"do": "start", "variant"}               -> {"parameters"}: builds the model of a step row, in place of the one before
  {"do": "run", "steps": N}                -> {"micros", "loss", "step", "peak_bytes", "peak_rss_bytes"}: N + 1 steps,
                                              the mean wall time of the last N
  {"do": "free"}                           -> {}: gives the row's memory back
  {"do": "quit"}
"""

import argparse
import gc
import json
import os
import resource
import sys
import time

import torch_cases
import torch_models


class Peer:
    def __init__(self, torch, options):
        self.torch, self.device, self.compiles = torch, options.device, options.compile
        self.case = self.trainer = self.row = self.flush = None

    def ready(self):
        torch = self.torch
        answer = {"ready": True, "torch": torch.__version__, "threads": torch.get_num_threads(),
                  "python": sys.version.split()[0]}
        if self.device == "cuda":
            answer.update(device=torch.cuda.get_device_name(), cuda=torch.version.cuda,
                          cudnn=torch.backends.cudnn.version(),
                          memory_bytes=torch.cuda.get_device_properties(0).total_memory)
        else:
            answer.update(device="cpu", capability=torch.backends.cpu.get_cpu_capability())
        try:
            import triton
            answer["triton"] = triton.__version__
        except ImportError:
            pass
        return answer

    def answer(self, command):
        return getattr(self, "do_" + command["do"])(command)

    def do_roofline(self, command):
        torch = self.torch
        size = (512 if self.device == "cuda" else 64) << 20
        source = torch.rand(size // 4, device=self.device)
        target = torch.empty_like(source)
        micros = min(self.measure(lambda: target.copy_(source), 7, 1, 0))
        rates = {"gigabytes_per_second": 2 * size / micros / 1e3}
        del source, target
        for name in command["dtypes"]:
            best = 0.0
            for m, n, k in [(8192, 8192, 8192), (2048, 13312, 2048)] if self.device == "cuda" else [(1024, 1024, 1024)]:
                a = torch.randn(m, k, device=self.device).to(torch_cases.dtype(torch, name))
                b = torch.randn(n, k, device=self.device).to(torch_cases.dtype(torch, name))
                out = torch.empty(m, n, device=self.device, dtype=a.dtype)
                micros = min(self.measure(lambda: torch.matmul(a, b.t(), out=out), 5, 4, 0))
                best = max(best, 2.0 * m * n * k / micros / 1e6)
                del a, b, out
            rates["teraflops_" + name] = best
        self.clean()
        return rates

    def do_prepare(self, command):
        self.do_free(command)
        self.row = command["row"]
        if self.row["kind"] == "step":
            return {"variants": torch_models.variants(self.row, self.device, self.compiles)}
        self.torch.manual_seed(1)
        self.case = torch_cases.build(self.torch, self.row, self.device, self.compiles)
        return {"variants": list(self.case.variants)}

    def do_check(self, command):
        run = self.case.variants[command["variant"]]
        self.case.reset()
        return {"error_fp64": self.case.error(run())}

    def do_time(self, command):
        run, case = self.case.variants[command["variant"]], self.case
        case.reset()
        for _ in range(2):
            run()
        reset = case.reset if case.spoils else None
        return {"micros": self.measure(run, command["repetitions"], command["launches"], command["flush_bytes"], reset)}

    def measure(self, run, repetitions, launches, flush_bytes, reset=None):
        torch = self.torch
        if flush_bytes:
            launches = 1
            if self.flush is None:
                self.flush = torch.empty(flush_bytes // 4, device=self.device)
        micros = []
        for i in range(repetitions):
            if reset:
                reset()
            if flush_bytes:
                self.flush.fill_(i)
            if self.device == "cuda":
                begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
                begin.record()
                for _ in range(launches):
                    run()
                end.record()
                end.synchronize()
                micros.append(begin.elapsed_time(end) * 1000 / launches)
            else:
                begin = time.perf_counter_ns()
                for _ in range(launches):
                    run()
                micros.append((time.perf_counter_ns() - begin) / 1e3 / launches)
        return micros

    def do_start(self, command):
        self.trainer = None
        self.clean()
        if self.device == "cuda":
            self.torch.cuda.reset_peak_memory_stats()
        self.trainer = torch_models.Trainer(self.torch, self.row, command["variant"], self.device)
        return {"parameters": self.trainer.parameter_count}

    def do_run(self, command):
        steps = command["steps"]
        self.trainer.step()
        self.wait()
        begin = time.perf_counter_ns()
        for _ in range(steps):
            loss = self.trainer.step()
        self.wait()
        micros = (time.perf_counter_ns() - begin) / 1e3 / steps
        cuda = self.device == "cuda"
        return {
            "micros": micros, "loss": loss.item(), "step": self.trainer.done,
            "peak_bytes": self.torch.cuda.max_memory_allocated() if cuda else 0,
            "reserved_bytes": self.torch.cuda.max_memory_reserved() if cuda else 0,
            "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,  # Linux counts in KiB
        }

    def wait(self):
        if self.device == "cuda":
            self.torch.cuda.synchronize()

    def do_free(self, _):
        self.case = self.trainer = self.row = self.flush = None
        self.torch.compiler.reset()
        self.clean()
        return {}

    def clean(self):
        gc.collect()
        if self.device == "cuda":
            self.torch.cuda.empty_cache()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--no-compile", dest="compile", action="store_false")
    options = parser.parse_args()
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # a compiler or library that prints must not break the protocol

    def reply(value):
        replies.write(json.dumps(value) + "\n")
        replies.flush()

    try:
        import torch
        import torch._functorch.config

        torch.set_num_threads(options.threads)
        if options.device == "cuda" and not torch.cuda.is_available():
            raise RuntimeError(f"torch {torch.__version__} sees no CUDA device")
        # TF32 where PyTorch may: fp32 rows are then no fair comparison, and there are none on a GPU
        torch.set_float32_matmul_precision("high")
        torch._functorch.config.donated_buffer = False  # backward is timed again and again over one forward
        peer = Peer(torch, options)
        reply(peer.ready())
    except Exception as e:
        reply({"error": f"{type(e).__name__}: {e}"})
        return
    for line in sys.stdin:
        if not line.strip():
            continue
        try:
            command = json.loads(line)
            if command["do"] == "quit":
                break
            reply(peer.answer(command))
        except Exception as e:
            reply({"error": f"{type(e).__name__}: {str(e)[:500]}"})


if __name__ == "__main__":
    main()
