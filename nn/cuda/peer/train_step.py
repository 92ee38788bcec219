"""PyTorch at the network's work on an NVIDIA GPU, in several ways; for turns.py.

Training is forward in bfloat16 autocast, channels last, with dropout,
cross-entropy, backward and Adadelta; inference is forward alone. The batch lies
ready on the GPU: drawing and augmenting it, which cifartui does within its
step, costs PyTorch nothing here.

    eager     as it is written, every kernel launched by Python
    graph     the same, captured once in a CUDA graph and replayed
    compile   torch.compile, captured in a CUDA graph
    autotune  the same with torch.compile's mode max-autotune, which times
              candidates for every kernel while it compiles: this takes minutes
"""
import time

import torch
from torch import nn
from torch.nn import functional as F

WAYS = ("eager", "graph", "compile", "autotune")


def network():
    layers, channels = [], 3
    for filters in (64, 128, 256):
        for _ in range(2):
            layers += [nn.Conv2d(channels, filters, 3, padding=1), nn.ReLU(inplace=True)]
            channels = filters
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.5), nn.Linear(4096, 10))


def prepare(way, mode, batch):
    """Return a function that runs one step of the way."""
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.allow_tf32 = True
    torch.manual_seed(1)
    net = network().cuda().to(memory_format=torch.channels_last)
    x = torch.rand(batch, 3, 32, 32, device="cuda").contiguous(memory_format=torch.channels_last)
    y = torch.randint(0, 10, (batch,), device="cuda")

    def forward(x, y):
        with torch.autocast("cuda", torch.bfloat16):
            return F.cross_entropy(net(x), y)

    if way == "compile":
        forward = torch.compile(forward, dynamic=False)
    elif way == "autotune":
        forward = torch.compile(forward, dynamic=False, mode="max-autotune-no-cudagraphs")

    if mode == "infer":
        net.eval()

        @torch.no_grad()
        def step():
            forward(x, y)
    else:
        optimizer = torch.optim.Adadelta(net.parameters(), lr=1.0, rho=0.95, eps=1e-7, foreach=True, capturable=True)

        def step():
            optimizer.zero_grad(set_to_none=True)
            forward(x, y).backward()
            optimizer.step()

    return step if way == "eager" else captured(step)


def captured(step):
    """Capture step in a CUDA graph, after a few runs aside."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(5):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()

    def replay(step=step):  # holds what the graph reads and writes: it keeps no memory alive by itself
        graph.replay()

    return replay


def speed(step, batch, seconds):
    """Run steps for about so many seconds; return images a second."""
    for _ in range(10):
        step()
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(10):
        step()
    torch.cuda.synchronize()
    steps = max(10, int(10 * seconds / (time.perf_counter() - start)))
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    begin.record()
    for _ in range(steps):
        step()
    end.record()
    end.synchronize()
    return steps * batch / (begin.elapsed_time(end) / 1000)
