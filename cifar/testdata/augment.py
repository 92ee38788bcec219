"""Makes augment.json: what PyTorch and torchvision make of a picture that is
turned, zoomed, shifted and mirrored, or whose colours change. Values of 0 to
255, [size][size][3]. python3 augment.py > augment.json"""
import json, math, sys
import torch
import torchvision.transforms.functional as F

size = 12
i = torch.arange(3 * size * size, dtype=torch.int64)
image = ((i * i * 7 + i * 13) % 251).double().reshape(3, size, size)


def warp(degrees, zoom, dx, dy, flip, reflect):
    t = math.radians(degrees)
    middle = (size - 1) / 2
    y, x = torch.meshgrid(torch.arange(size).double(), torch.arange(size).double(), indexing="ij")
    if flip:
        x = size - 1 - x
    u, v = x - dx - middle, y - dy - middle
    sx = (math.cos(t) * u - math.sin(t) * v) / zoom
    sy = (math.sin(t) * u + math.cos(t) * v) / zoom
    grid = torch.stack([sx / middle, sy / middle], -1)[None]  # -1 to 1: the outer pixels' centres
    mode = "reflection" if reflect else "border"
    return torch.nn.functional.grid_sample(image[None], grid, mode="bilinear", padding_mode=mode, align_corners=True)[0]


cases = []
for degrees, zoom, dx, dy, flip, reflect in [
    (30, 1, 0, 0, False, False), (-17.5, 1, 0, 0, False, True), (0, 1.4, 0, 0, False, False), (0, 0.6, 2, -3, False, True),
    (110, 0.5, -4, 1, True, True), (179, 1.9, 3, 3, True, False), (-90, 1, 0, 0, False, False),
]:
    out = warp(degrees, zoom, dx, dy, flip, reflect)
    cases.append(dict(degrees=degrees, zoom=zoom, dx=dx, dy=dy, flip=flip, reflect=reflect, want=out.permute(1, 2, 0).flatten().tolist()))
for b, c, s in [(1.3, 1, 1), (1, 0.4, 1), (1, 1, 1.8), (0.7, 1.5, 0), (1.9, 1.9, 0.3)]:
    out = F.adjust_saturation(F.adjust_contrast(F.adjust_brightness(image / 255, b), c), s) * 255
    cases.append(dict(brightness=b, contrast=c, saturation=s, want=out.permute(1, 2, 0).flatten().tolist()))
for c in cases:
    c["want"] = [round(v, 6) for v in c["want"]]
json.dump(dict(size=size, torch=torch.__version__, cases=cases), sys.stdout)
