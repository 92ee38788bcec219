"""Scores probabilities with PyTorch, for score_test.go.

peer.py FILE IMAGES CLASSES: FILE holds the probabilities, float32, and then a
byte for each image's class. The score is printed in score.Score's JSON.
"""
import json
import sys

import torch

path, images, classes = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
with open(path, "rb") as f:
    raw = bytearray(f.read())
p = torch.frombuffer(raw, dtype=torch.float32, count=images * classes).reshape(images, classes).double()
y = torch.frombuffer(raw, dtype=torch.uint8, offset=4 * images * classes).long()

loss = torch.nn.functional.nll_loss(p.log(), y).item()
confidence, said = p.max(dim=1)
right = (said == y).double()
top5 = (p.topk(5, dim=1).indices == y[:, None]).any(dim=1).double().mean().item()

# Bins closed on the right, as torch.bucketize makes them by default.
edges = torch.linspace(0, 1, 16, dtype=torch.float64)
bin = torch.bucketize(confidence, edges[1:-1])
error = sum(
    (bin == b).double().mean().item() * abs(right[bin == b].mean().item() - confidence[bin == b].mean().item())
    for b in range(15) if (bin == b).any()
)

confusion = torch.zeros(classes, classes, dtype=torch.long)
confusion.index_put_((y, said), torch.ones(images, dtype=torch.long), accumulate=True)
hits = confusion.diag().double()
print(json.dumps({
    "loss": loss, "accuracy": right.mean().item(), "top5": top5, "calibration_error": error,
    "classes": [
        {"name": "", "precision": (hits[c] / confusion[:, c].sum()).item(), "recall": (hits[c] / confusion[c].sum()).item(), "count": int(confusion[c].sum())}
        for c in range(classes)
    ],
    "confusion": confusion.tolist(),
}))
