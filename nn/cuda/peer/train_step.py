#!/usr/bin/env python3
"""Measure PyTorch at the whole training step of the network, on an NVIDIA GPU.

    python3 nn/cuda/peer/train_step.py --batches 64,128,256,512 --ways eager,graph,compile,autotune

The step is forward in bfloat16 autocast, channels last, with dropout,
cross-entropy, backward and Adadelta. Its batch lies ready on the GPU: drawing
and augmenting it, which the program beside it does within its step, costs
PyTorch nothing here.

    eager     as it is written, every kernel launched by Python
    graph     the same, captured once in a CUDA graph and replayed
    compile   torch.compile of forward and backward, captured in a CUDA graph
    autotune  the same with torch.compile's mode max-autotune, which times
              candidates for every kernel while it compiles: this takes minutes

Each line of the output is a JSON object: the way, the batch, microseconds a
step (the median of several rounds) and what compiling took.
"""
import argparse
import json
import statistics
import time

import torch
from torch import nn
from torch.nn import functional as F


def network():
    layers, channels = [], 3
    for filters in (64, 128, 256):
        for _ in range(2):
            layers += [nn.Conv2d(channels, filters, 3, padding=1), nn.ReLU(inplace=True)]
            channels = filters
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.5), nn.Linear(4096, 10))


def maker(way, batch):
    """Return a function that runs one step, and leaves its loss in a tensor."""
    torch.manual_seed(1)
    net = network().cuda().to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adadelta(net.parameters(), lr=1.0, rho=0.95, eps=1e-7, foreach=True, capturable=True)
    x = torch.rand(batch, 3, 32, 32, device="cuda").contiguous(memory_format=torch.channels_last)
    y = torch.randint(0, 10, (batch,), device="cuda")

    def forward(x, y):
        with torch.autocast("cuda", torch.bfloat16):
            return F.cross_entropy(net(x), y)

    if way == "compile":
        forward = torch.compile(forward, dynamic=False)
    elif way == "autotune":
        forward = torch.compile(forward, dynamic=False, mode="max-autotune-no-cudagraphs")

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss = forward(x, y)
        loss.backward()
        optimizer.step()
        return loss

    return step


def captured(step):
    """Capture step in a CUDA graph after a few runs aside."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(5):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return graph.replay


def measure(run, rounds, seconds):
    """Return microseconds a step, the median of the rounds."""
    for _ in range(10):
        run()
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(10):
        run()
    torch.cuda.synchronize()
    steps = max(10, int(seconds / ((time.perf_counter() - start) / 10)))
    times = []
    for _ in range(rounds):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        for _ in range(steps):
            run()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end) * 1000 / steps)
    return statistics.median(times)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", default="64,128,256,512")
    parser.add_argument("--ways", default="eager,graph,compile")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.2, help="of a round")
    a = parser.parse_args()
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.allow_tf32 = True
    for way in a.ways.split(","):
        for batch in map(int, a.batches.split(",")):
            start = time.perf_counter()
            line = {"torch": torch.__version__, "gpu": torch.cuda.get_device_name(), "way": way, "batch": batch}
            try:
                step = maker(way, batch)
                run = step if way == "eager" else captured(step)
                line["microseconds"] = round(measure(run, a.rounds, a.seconds), 1)
            except Exception as error:  # one way that fails leaves the others their turn
                line["error"] = str(error)[:300]
            line["seconds_in_all"] = round(time.perf_counter() - start, 1)
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
