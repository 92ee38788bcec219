#!/usr/bin/env python3
"""Measure "cifartui bench --device cuda" and PyTorch in turns on one GPU.

    python3 turns.py --cifartui ./cifartui --batches 64,128,256,512 --ways graph,compile

In each round all take their turn, another one first each time, so that what the
card's clocks do hits all alike. A ratio is the median of the rounds' ratios, the
program's images a second over PyTorch's. See train_step.py for what PyTorch does.
A way can be given its own batch sizes, as autotune:512, where it compiles long.
"""
import argparse
import json
import statistics
import subprocess
import sys
import threading
import time

import torch

import train_step


class Ours:
    """The program, a process a round."""

    def __init__(self, program, mode, batch):
        self.command = [program, "bench", "--device", "cuda", "--json", "--layers=false", "--rounds", "1",
                        "--mode", mode, "--batches", str(batch)]
        self.memory = 0

    def round(self):
        free = torch.cuda.mem_get_info()[0]
        done = threading.Event()

        def watch():
            while not done.wait(0.02):
                self.memory = max(self.memory, free - torch.cuda.mem_get_info()[0])

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            ran = subprocess.run(self.command, capture_output=True, text=True)
        finally:
            done.set()
            watcher.join()
        if ran.returncode != 0:
            raise RuntimeError(f"{' '.join(self.command)}: exit {ran.returncode}: {ran.stderr.strip()}")
        return json.loads(ran.stdout)["results"][0]["images_per_second"]["median"]


class Theirs:
    """PyTorch in one way."""

    def __init__(self, way, mode, batch, seconds):
        torch.cuda.reset_peak_memory_stats()
        start = time.perf_counter()
        self.step = train_step.prepare(way, mode, batch)
        self.batch, self.seconds = batch, seconds
        self.step()
        torch.cuda.synchronize()
        self.memory = torch.cuda.max_memory_reserved()
        print(f"  {way}, {mode}, batch {batch}: ready after {time.perf_counter() - start:.1f} s", file=sys.stderr, flush=True)

    def round(self):
        return train_step.speed(self.step, self.batch, self.seconds)


def compare(a, mode, batch):
    """Return the lines of the table for one kind of work."""
    runners = {"cifartui": Ours(a.cifartui, mode, batch)}
    for way in a.ways.split(","):
        way, _, only = way.partition(":")
        if only and str(batch) not in only.split("+"):
            continue
        try:
            runners["PyTorch " + way] = Theirs(way, mode, batch, a.seconds)
        except Exception as error:  # one way that fails leaves the others their turn
            print(f"  {way}, {mode}, batch {batch}: left out: {error}", file=sys.stderr, flush=True)
    speeds = {name: [] for name in runners}
    names = list(runners)
    for i in range(a.rounds):
        for name in names[i % len(names):] + names[:i % len(names)]:
            speeds[name].append(runners[name].round())
    lines = []
    for name in names:
        ratios = [ours / theirs for ours, theirs in zip(speeds["cifartui"], speeds[name])]
        median = statistics.median(speeds[name])
        lines.append({
            "mode": mode, "batch": batch, "what": name, "images_per_second": round(median),
            "microseconds": round(batch / median * 1e6, 1),
            "spread": round((max(speeds[name]) - min(speeds[name])) / median, 3),
            "ratio": round(statistics.median(ratios), 2), "megabytes": runners[name].memory >> 20,
        })
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cifartui", default="./cifartui")
    parser.add_argument("--modes", default="train,infer")
    parser.add_argument("--batches", default="64,128,256,512")
    parser.add_argument("--ways", default="graph,compile")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.2, help="of a round of PyTorch's")
    a = parser.parse_args()
    print(f"{torch.cuda.get_device_name()}, PyTorch {torch.__version__}, median of {a.rounds} rounds")
    print(f"{'':6}{'batch':>6}  {'':18}{'us/step':>10}{'images/s':>11}{'spread':>8}{'ours/it':>9}{'MB':>8}")
    failed = False
    for mode in a.modes.split(","):
        for batch in map(int, a.batches.split(",")):
            try:
                lines = compare(a, mode, batch)
            except Exception as error:  # the other batch sizes keep their turn
                print(f"{mode:6}{batch:6}  left out: {error}", flush=True)
                failed, lines = True, []
            for l in lines:
                print(f"{mode:6}{batch:6}  {l['what']:18}{l['microseconds']:10.1f}{l['images_per_second']:11}{l['spread']:8.1%}{l['ratio']:9.2f}{l['megabytes']:8}", flush=True)
            torch.cuda.empty_cache()
    sys.exit(failed)


if __name__ == "__main__":
    main()
