"""Makes wrapped.safetensors: one list of numbers as PyTorch writes them in every
kind, under names as a compiled network in DistributedDataParallel has them.
Needs torch and safetensors: python3 make.py"""
import math, os
import torch
from safetensors.torch import save_file

os.chdir(os.path.dirname(os.path.abspath(__file__)))
g = torch.Generator().manual_seed(1)
numbers = torch.cat([
    torch.tensor([0.0, -0.0, 1, -1, 65504, -65504, 65519, 2**-14, 2**-24, 2**-25, 3 * 2**-25, 2**-26, 1 + 2**-11, 1 + 3 * 2**-11,
                  1 + 2**-8, 1 + 3 * 2**-8, math.inf, -math.inf, math.nan, 1023.5 * 2**-24, 2047.5 * 2**-25, 1e-30, -3.14159265]),
    torch.randn(64, generator=g), torch.randn(64, generator=g) * 1e-5,
]).float()
save_file({
    "module._orig_mod.single": numbers,
    "module._orig_mod.half": numbers.half(),
    "module._orig_mod.brain": numbers.bfloat16(),
    "module._orig_mod.double": numbers.double().reshape(1, -1),
}, "wrapped.safetensors", metadata={"format": "pt"})
