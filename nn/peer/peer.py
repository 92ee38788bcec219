#!/usr/bin/env python3
"""Repeat a training of cifartui in PyTorch and compare the two, step by step.

Needs torch (Debian: python3-torch) and nothing else. By hand, from the top of
the repository, with CIFAR-10's binary files in DATA:

    python3 nn/peer/peer.py init --out START.safetensors
    python3 nn/peer/peer.py select --data DATA --weights START.safetensors --out CLEAR
    cifartui --no-tui --data CLEAR --batch 64 --max-steps 50 \\
        --augment=false --shuffle=false --dropout 0 --init START.safetensors \\
        --optimizer sgd --lr 0.01 --log-format json --log-every 1 > LOG
    python3 nn/peer/peer.py compare --data CLEAR --weights START.safetensors \\
        --log LOG --steps 50 --optimizer sgd --lr 0.01 --tolerance 5e-3

and with --max-steps 1 and the weights that that leaves, compare --after FILE.
Both must take the same batches: the images in the files' order, divided by
255, without augmentation and dropout. The exit status is 1 if a difference is
over its limit. `CIFARTUI_PEER=1 go test ./nn -run PyTorch -v` does all of it
for package nn alone.

select puts images first for which float32 has nothing to decide. A ReLU and a
max pool choose; where the choice hangs on the last digits, two correct programs
choose differently, and a single choice moves a gradient by 1e-4 to 1e-2 of its
norm. So do PyTorch's own gradients when its weights are moved by 1e-6, and by
the first step of Adam, which is little more than the gradient's sign, one
choice can turn a quarter of a bias. An image has 230,000 choices; those that
are all clear by more than the rounding errors, one image in four, show the
arithmetic alone.
"""
import argparse
import array
import json
import os
import shutil
import sys

import torch
import torch.nn.functional as F

RECORD = 1 + 3 * 32 * 32  # a label, and the bytes of an image: channel, row, column


def read_safetensors(path):
    """Return the tensors of a safetensors file of float32, by name.

    The format is the length of the header, 8 bytes little-endian, the header
    in JSON, and the data.
    """
    with open(path, "rb") as f:
        header = json.loads(f.read(int.from_bytes(f.read(8), "little")))
        data = f.read()
    tensors = {}
    for name, t in header.items():
        if name == "__metadata__":
            continue
        if t["dtype"] != "F32":
            sys.exit(f"{path}: {name} is {t['dtype']}, want F32")
        begin, end = t["data_offsets"]
        values = array.array("f", data[begin:end])
        tensors[name] = torch.tensor(values, dtype=torch.float32).reshape(t["shape"])
    return tensors


def write_safetensors(path, tensors):
    header, data = {}, b""
    for name, t in tensors.items():
        values = array.array("f", t.flatten().tolist()).tobytes()
        header[name] = {"dtype": "F32", "shape": list(t.shape), "data_offsets": [len(data), len(data) + len(values)]}
        data += values
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(len(text).to_bytes(8, "little") + text + data)


def read_records(path, count):
    """Return the first records of CIFAR-10's binary layout, [count, 3073].

    path is a file of records, or a folder with data_batch_1.bin to 5.
    """
    files = [path]
    if os.path.isdir(path):
        files = [os.path.join(path, f"data_batch_{i}.bin") for i in range(1, 6)]
    data = b""
    for name in files:
        if len(data) < count * RECORD:
            with open(name, "rb") as f:
                data += f.read()
    if len(data) < count * RECORD:
        sys.exit(f"{path}: {len(data) // RECORD} images, want {count}")
    return torch.frombuffer(bytearray(data[: count * RECORD]), dtype=torch.uint8).reshape(count, RECORD)


def images(records):
    return records[:, 1:].float().div(255).reshape(-1, 3, 32, 32)


def read_batches(path, batch, steps):
    """Return images and labels of each step."""
    for records in read_records(path, batch * steps).split(batch):
        yield images(records), records[:, 0].long()


def read_losses(path):
    """Return the losses of a log of JSON lines, those whose event is "step"."""
    losses = []
    with open(path) as f:
        for line in f:
            if line.lstrip().startswith("{"):
                event = json.loads(line)
                if event.get("event") == "step":
                    losses.append(event["loss"])
    return losses


def network(x, w):
    for block in range(3):
        for i in (2 * block + 1, 2 * block + 2):
            x = F.relu(F.conv2d(x, w[f"conv{i}.weight"], w[f"conv{i}.bias"], padding=1))
        x = F.max_pool2d(x, 2)
    x = x.flatten(1)
    for name in hidden(w):
        x = F.relu(F.linear(x, w[f"{name}.weight"], w[f"{name}.bias"]))
    return F.linear(x, w["dense.weight"], w["dense.bias"])


def hidden(w):
    """Return the names of the hidden dense layers, in order."""
    return sorted({name.split(".")[0] for name in w if name.startswith("fc")})


class Descent(torch.optim.SGD):
    """sgd, sgdw and muon: SGD with groups for filters, dense layer and biases.

    A decoupled decay shrinks the weights before the step. Muon changes the
    filters' gradient g: SGD is to take a step along the orthogonalized
    g + momentum m, so it gets that, without momentum of its own.
    """

    def __init__(self, args, weights):
        lr = args.lr or {"sgd": 0.01, "sgdw": 0.01, "muon": 0.02}[args.optimizer]
        muon = args.optimizer == "muon"
        self.muon = 0.0
        momentum = args.momentum or (0.95 if muon else 0.0)
        dense = args.dense_lr or (0.05 if muon else lr)
        other = args.dense_momentum or momentum
        if muon:
            self.muon, momentum = momentum, 0.0
        groups = [
            {"params": [w for w in weights if w.dim() == 4], "lr": lr, "momentum": momentum, "shrink": args.weight_decay},
            {"params": [w for w in weights if w.dim() == 2], "lr": dense, "momentum": other,
             "shrink": args.dense_decay or args.weight_decay},
            {"params": [w for w in weights if w.dim() == 1], "lr": args.bias_lr or dense, "momentum": other, "shrink": 0.0},
        ]
        for g in groups:
            if args.optimizer == "sgd":
                g["shrink"], g["weight_decay"] = 0.0, args.weight_decay
                if g["params"][0].dim() == 2:
                    g["weight_decay"] = args.dense_decay or args.weight_decay
            g["nesterov"] = g["momentum"] > 0
        super().__init__(groups, lr=lr)

    @torch.no_grad()
    def step(self):
        for g in self.param_groups:
            for w in g["params"]:
                w.mul_(1 - g["lr"] * g["shrink"])
                if self.muon and w.dim() == 4:
                    m = self.state[w].setdefault("m", torch.zeros_like(w))
                    m.mul_(self.muon).add_(w.grad)
                    w.grad.copy_(orthogonal(w.grad + self.muon * m))
        super().step()


def orthogonal(u):
    """Return the update of Muon (Jordan et al. 2024) along u, [out, in, 3, 3]."""
    x = u.double().flatten(1)
    rows, cols = x.shape
    x = x / x.norm().clamp(min=1e-7)
    for _ in range(5):
        a = x @ x.T
        x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
    return (x * max(1, rows / cols) ** 0.5).reshape(u.shape).float()


def optimizer(args, params):
    decay = args.weight_decay
    if args.optimizer == "adadelta":
        return torch.optim.Adadelta(params, lr=args.lr or 1.0, rho=0.95, eps=1e-7)
    if args.optimizer == "adam":
        return torch.optim.Adam(params, lr=args.lr or 0.001, weight_decay=decay)
    if args.optimizer == "adamw":
        return torch.optim.AdamW(params, lr=args.lr or 0.001, weight_decay=decay)
    return Descent(args, params)


def init(args):
    """Write He-normal weights, the last layer's a hundredth of that.

    The first steps from plain He-normal weights are violent: PyTorch's losses
    differ from its own by 2e-2 within 50 steps of SGD when the weights are
    moved by 1e-6. With a last layer a tenth as large it is 2e-4.
    """
    torch.manual_seed(args.seed)
    weights, channels = {}, [3, 64, 64, 128, 128, 256, 256]
    for i in range(1, 7):
        weights[f"conv{i}.weight"] = torch.randn(channels[i], channels[i - 1], 3, 3) * (2 / (9 * channels[i - 1])) ** 0.5
        weights[f"conv{i}.bias"] = torch.zeros(channels[i])
    weights["dense.weight"] = 0.01 * torch.randn(10, 4096) * (2 / 4096) ** 0.5
    weights["dense.bias"] = torch.zeros(10)
    write_safetensors(args.out, weights)


def margins(x, w):
    """Return for each image how clear its least clear choice is.

    A choice is a ReLU's between its input and 0, or a max pool's between its
    largest two values; it is as clear as they are apart, in units of the root
    mean square of the ReLU's inputs.
    """
    w = {name: t.double() for name, t in w.items()}
    x = x.double()
    clear = torch.full((len(x),), float("inf"), dtype=torch.float64)
    for block in range(3):
        for i in (2 * block + 1, 2 * block + 2):
            z = F.conv2d(x, w[f"conv{i}.weight"], w[f"conv{i}.bias"], padding=1)
            unit = z.square().mean().sqrt()
            clear = clear.minimum(z.abs().flatten(1).amin(1) / unit)
            x = F.relu(z)
        n, c, h, _ = x.shape
        windows = x.reshape(n, c, h // 2, 2, h // 2, 2).permute(0, 1, 2, 4, 3, 5).reshape(n, -1, 4)
        first, second = windows.topk(2, dim=2).values.unbind(2)
        gap = torch.where(first > 0, first - second, float("inf"))
        clear = clear.minimum(gap.amin(1) / unit)
        x = F.max_pool2d(x, 2)
    x = x.flatten(1)
    for name in hidden(w):
        z = F.linear(x, w[f"{name}.weight"], w[f"{name}.bias"])
        clear = clear.minimum(z.abs().amin(1) / z.square().mean().sqrt())
        x = F.relu(z)
    return clear


def select(args):
    """Write the images of data_batch_1.bin anew, the clear ones first."""
    name = "data_batch_1.bin"
    source = os.path.join(args.data, name) if os.path.isdir(args.data) else args.data
    records = read_records(source, os.path.getsize(source) // RECORD)
    weights = read_safetensors(args.weights)
    clear, other, at = [], [], 0
    while len(clear) < args.count:
        if at == len(records):
            sys.exit(f"{source}: only {len(clear)} clear images, want {args.count}")
        some = records[at:at + 32]
        for r, m in zip(some, margins(images(some), weights)):
            (clear if m > args.margin else other).append(r)
        at += len(some)
    print(f"{len(clear)} of the first {at} images are clear")
    out = args.out
    if os.path.isdir(args.data):
        os.makedirs(out, exist_ok=True)
        for f in os.listdir(args.data):
            if f.endswith((".bin", ".txt")) and f != name:
                shutil.copy(os.path.join(args.data, f), out)
        out = os.path.join(out, name)
    with open(out, "wb") as f:
        f.write(bytes(torch.cat([torch.stack(clear + other), records[at:]]).flatten().tolist()))


def compare(args):
    start = read_safetensors(args.weights)
    weights = {name: t.clone().requires_grad_(True) for name, t in start.items()}
    opt = optimizer(args, list(weights.values()))
    theirs = read_losses(args.log) if args.log else []
    if args.log and len(theirs) < args.steps:
        sys.exit(f"{args.log}: {len(theirs)} losses, want {args.steps}")

    failed, worst = 0, 0.0
    for step, (x, y) in enumerate(read_batches(args.data, args.batch, args.steps)):
        opt.zero_grad()
        loss = F.cross_entropy(network(x, weights), y, label_smoothing=args.smoothing)
        loss.backward()
        opt.step()
        if theirs:
            ours = loss.item()
            difference = abs(theirs[step] - ours) / abs(ours)
            limit = args.tolerance if step else args.first
            bad = not difference <= limit
            failed += bad
            worst = max(worst, difference)
            if bad or step == 0 or step == args.steps - 1:
                print(f"step {step + 1}: loss {theirs[step]:.8f}, PyTorch's {ours:.8f}, "
                      f"difference {difference:.1e}{over(bad, limit)}")
        if args.after and step == 0:
            after = read_safetensors(args.after)
            for name, w in weights.items():
                w = w.detach().double()
                change = (w - start[name].double()).norm().item()
                difference = (after[name].double() - w).norm().item() / change
                bad = not difference <= args.change
                failed += bad
                print(f"{args.optimizer}, one step: {name:13} differs by {difference:.1e} of its change"
                      f"{over(bad, args.change)}")
    if theirs:
        print(f"{args.optimizer}, {args.steps} steps: largest difference of a loss {worst:.1e}")
    sys.exit(1 if failed else 0)


def over(bad, limit):
    return f" OVER {limit:.0e}" if bad else ""


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--threads", type=int, default=0, help="of PyTorch; 0: its own choice")
    commands = p.add_subparsers(dest="command", required=True)

    i = commands.add_parser("init", help="write weights to start from")
    i.add_argument("--seed", type=int, default=1)
    i.add_argument("--out", required=True, help="safetensors file to write")
    i.set_defaults(run=init)

    s = commands.add_parser("select", help="put the images first whose gradients float32 determines")
    s.add_argument("--weights", required=True, help="safetensors file that the training will start from")
    s.add_argument("--data", required=True, help="folder of CIFAR-10's binary files, or one file of records")
    s.add_argument("--out", required=True, help="folder, or file, to write")
    s.add_argument("--count", type=int, default=64, help="of images to find")
    s.add_argument("--margin", type=float, default=3e-6, help="by which every choice must be clear; see margins")
    s.set_defaults(run=select)

    c = commands.add_parser("compare", help="repeat a training and compare")
    c.add_argument("--weights", required=True, help="safetensors file that the training started from")
    c.add_argument("--data", required=True, help="folder of CIFAR-10's binary files, or one file of records")
    c.add_argument("--batch", type=int, default=64)
    c.add_argument("--steps", type=int, default=1)
    c.add_argument("--optimizer", choices=["adadelta", "sgd", "sgdw", "muon", "adam", "adamw"], default="adadelta")
    c.add_argument("--lr", type=float, default=0, help="0: the optimiser's default in cifartui")
    c.add_argument("--momentum", type=float, default=0)
    c.add_argument("--weight-decay", type=float, default=0)
    c.add_argument("--bias-lr", type=float, default=0)
    c.add_argument("--dense-lr", type=float, default=0)
    c.add_argument("--dense-momentum", type=float, default=0)
    c.add_argument("--dense-decay", type=float, default=0)
    c.add_argument("--smoothing", type=float, default=0)
    c.add_argument("--log", help="JSON lines with the losses to compare, of events \"step\"")
    c.add_argument("--first", type=float, default=1e-5, help="limit of the first loss's relative difference")
    c.add_argument("--tolerance", type=float, default=2e-3, help="limit of the other losses'")
    c.add_argument("--after", help="safetensors file of the weights after the first step, to compare")
    c.add_argument("--change", type=float, default=1e-3,
                   help="limit of the difference of each tensor after the first step, norm over the norm of its change")
    c.set_defaults(run=compare)

    args = p.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    args.run(args)


if __name__ == "__main__":
    main()
