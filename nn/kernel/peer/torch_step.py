#!/usr/bin/env python3
"""Measure PyTorch at the work of "cifartui bench", round by round.

Needs torch (Debian: python3-torch) and nothing else. By hand:

    python3 nn/kernel/peer/torch_step.py --mode train --batch 64 --threads 2 --rounds 7

A round lasts about --seconds and prints one JSON object on a line. With
--rounds 0, as the program beside this file runs it, a round is run for each
line of standard input, so that two programs can take turns.

The training step is the whole one: a batch is drawn from images of bytes,
shifted by up to 4 pixels both ways with the border repeated, mirrored by
chance and divided by 255; forward with dropout, cross-entropy, backward,
Adadelta; loss and accuracy are read back. Inference starts from normalized
images and reads the same two figures. Of PyTorch's two layouts of memory the
faster is used: both are tried first.

--variant compile gives network and loss to torch.compile, which needs a C++
compiler; bfloat16 runs them under autocast, where the processor multiplies
bfloat16 by itself.
"""
import argparse
import json
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

CHANNELS_LAST, DEFAULT = torch.channels_last, torch.contiguous_format
NAMES = {CHANNELS_LAST: "channels_last", DEFAULT: "default"}


def network():
    layers, channels = [], 3
    for filters in (64, 128, 256):
        for _ in range(2):
            layers += [nn.Conv2d(channels, filters, 3, padding=1), nn.ReLU(inplace=True)]
            channels = filters
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.5), nn.Linear(4096, 10))


class Work:
    """One mode in one layout of memory."""

    def __init__(self, mode, batch, layout, variant):
        torch.manual_seed(1)
        self.batch, self.layout = batch, layout
        self.net = network().to(memory_format=layout)
        self.autocast = variant == "bfloat16"
        self.forward = torch.compile(self.evaluate) if variant == "compile" else self.evaluate
        self.step = self.train if mode == "train" else self.infer
        if mode == "train":
            n = max(1024, 4 * batch)
            self.images = torch.randint(0, 256, (n, 32, 32, 3), dtype=torch.uint8)
            self.labels = torch.randint(0, 10, (n,))
            self.optimizer = torch.optim.Adadelta(self.net.parameters(), lr=1.0, rho=0.95, eps=1e-7)
        else:
            self.net.eval()
            self.x = torch.rand(batch, 3, 32, 32).contiguous(memory_format=layout)
            self.y = torch.randint(0, 10, (batch,))

    def augmented(self):
        """A random batch, [batch, 3, 32, 32] in 0..1, and its labels."""
        n = self.batch
        pick = torch.randint(0, len(self.images), (n,))
        axis = torch.arange(32)
        rows = (axis + torch.randint(-4, 5, (n, 1))).clamp_(0, 31)
        columns = (axis + torch.randint(-4, 5, (n, 1))).clamp_(0, 31)
        columns = torch.where(torch.rand(n, 1) < 0.5, columns.flip(1), columns)
        x = self.images[pick[:, None, None], rows[:, :, None], columns[:, None, :]]
        # Pixel by pixel is what channels_last means.
        x = x.permute(0, 3, 1, 2).to(torch.float32).div_(255)
        return x.contiguous(memory_format=self.layout), self.labels[pick]

    def evaluate(self, x, y):
        with torch.autocast("cpu", torch.bfloat16, enabled=self.autocast):
            logits = self.net(x)
            return F.cross_entropy(logits, y), logits

    def train(self):
        x, y = self.augmented()
        self.optimizer.zero_grad(set_to_none=True)
        loss, logits = self.forward(x, y)
        loss.backward()
        self.optimizer.step()
        return loss.item(), (logits.argmax(1) == y).sum().item()

    def infer(self):
        with torch.inference_mode():
            loss, logits = self.forward(self.x, self.y)
            return loss.item(), (logits.argmax(1) == self.y).sum().item()

    def round(self, seconds):
        """Run steps for about seconds; return their number and what they took."""
        steps, start = 0, time.perf_counter()
        while True:
            self.step()
            steps += 1
            took = time.perf_counter() - start
            if took >= seconds:
                return steps, took


def multiplies_bfloat16():
    """Tell whether the processor does, as Linux names its features."""
    try:
        with open("/proc/cpuinfo") as f:
            text = f.read()
    except OSError:
        return False
    return any(name in text for name in ("avx512_bf16", "amx_bf16", "bf16 "))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mode", choices=("train", "infer"), default="train")
    parser.add_argument("--variant", choices=("eager", "compile", "bfloat16"), default="eager")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=1.0, help="of a round")
    parser.add_argument("--rounds", type=int, default=7, help="0: one for each line of standard input")
    a = parser.parse_args()
    if a.variant == "bfloat16" and not multiplies_bfloat16():
        print(json.dumps({"skipped": "the processor has no arithmetic of bfloat16"}), flush=True)
        return
    torch.set_num_threads(a.threads)
    torch.set_num_interop_threads(1)

    trials = []
    for layout in (CHANNELS_LAST, DEFAULT):
        work = Work(a.mode, a.batch, layout, a.variant)
        work.step()  # the first step allocates and chooses kernels
        # The best of three: on a busy machine a single one may mislead.
        trials.append((min(took / steps for steps, took in (work.round(a.seconds / 3) for _ in range(3))), NAMES[layout], work))
    _, name, work = min(trials, key=lambda t: t[0])
    del trials

    for _ in range(a.rounds) if a.rounds else sys.stdin:
        steps, took = work.round(a.seconds)
        print(json.dumps({
            "version": f"PyTorch {torch.__version__}, {a.variant}", "mode": a.mode, "batch": a.batch, "threads": a.threads, "layout": name,
            "steps": steps, "images_per_second": steps * a.batch / took,
        }), flush=True)


if __name__ == "__main__":
    main()
