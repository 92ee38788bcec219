"""Makes the pictures of this folder, and what Pillow makes of each: NAME.want.png,
cropped and scaled to 16x16 pixels. Needs Pillow and pypng: python3 make.py"""
import os
import numpy as np, png
from PIL import Image, ImageOps

os.chdir(os.path.dirname(os.path.abspath(__file__)))
W, H, N = 60, 40, 16


def scene(w=W, h=H, top=255):
    """Smooth colours that differ in all corners, so that any turn or mirror shows."""
    y, x = np.mgrid[0:h, 0:w]
    x, y = x / (w - 1), y / (h - 1)
    disc = np.exp(-(((x - 0.45) * w) ** 2 + ((y - 0.3) * h) ** 2) / 60)
    rgb = np.stack([x, y * (1 - x), 0.6 * (1 - y) + 0.4 * disc], -1)
    return np.round(rgb * top)


rgb = Image.fromarray(scene().astype(np.uint8))
y, x = np.mgrid[0:H, 0:W]
alpha = Image.fromarray(np.clip(255 * (x + y) / 70, 0, 255).astype(np.uint8))
rgba = rgb.copy(); rgba.putalpha(alpha)


def exif(orientation):
    e = Image.Exif(); e[0x0112] = orientation
    return e


def stored(im, orientation):
    """The pixels that a file of this orientation holds for the upright picture im."""
    t = Image.Transpose
    back = {2: t.FLIP_LEFT_RIGHT, 3: t.ROTATE_180, 4: t.FLIP_TOP_BOTTOM, 5: t.TRANSPOSE, 6: t.ROTATE_90, 7: t.TRANSVERSE, 8: t.ROTATE_270}
    return im.transpose(back[orientation]) if orientation in back else im


rgb.save("baseline.jpg", quality=85)
rgb.save("full.jpg", quality=85, subsampling=0)
rgb.save("progressive.jpg", quality=85, progressive=True)
rgb.convert("L").save("gray.jpg", quality=85)
rgb.convert("CMYK").save("cmyk.jpg", quality=85)
small = Image.fromarray(scene(25, 16).astype(np.uint8))
for o in range(1, 9):
    stored(small, o).save(f"exif{o}.jpg", quality=98, subsampling=0, exif=exif(o))
stored(rgb, 6).save("exif6.png", exif=exif(6))
stored(rgb, 6).save("exif6.webp", lossless=True, exif=exif(6))
rgba.save("alpha.png", optimize=True)
pal = rgba.convert("RGBA").quantize(32, method=Image.Quantize.FASTOCTREE)
pal.save("palette.png", optimize=True)
s16 = scene(25, 16, 65535).astype(np.uint16)
with open("rgb16.png", "wb") as f:
    png.Writer(25, 16, bitdepth=16, greyscale=False).write(f, s16.reshape(16, -1).tolist())
with open("gray16.png", "wb") as f:
    png.Writer(25, 16, bitdepth=16, greyscale=True).write(f, s16[:, :, 0].tolist())
with open("interlaced.png", "wb") as f:
    png.Writer(25, 16, bitdepth=8, greyscale=False, interlace=True).write(f, np.asarray(small).reshape(16, -1).tolist())
frames = [rgb.quantize(64), ImageOps.mirror(rgb).quantize(64), ImageOps.flip(rgb).quantize(64)]
frames[0].save("animated.gif", save_all=True, append_images=frames[1:], duration=100, loop=0)
rgb.save("rgb.bmp"); rgb.quantize(16).save("palette.bmp")
rgb.save("lossy.webp", quality=85); rgb.save("lossless.webp", lossless=True)
rgba.save("alpha.webp", quality=85)
rgba.save("animated.webp", save_all=True, append_images=[ImageOps.mirror(rgba)], quality=85, duration=100)

for name in sorted(os.listdir(".")):
    if name.endswith((".py", ".want.png")):
        continue
    im = Image.open(name); im.seek(0)
    im = ImageOps.exif_transpose(im)
    if im.mode.startswith("I"):  # 16 bits of grey, which convert() would cut off
        im = Image.fromarray((np.asarray(im).astype(np.uint32) // 257).astype(np.uint8))
    im = im.convert("RGBA")
    white = Image.new("RGBA", im.size, "white"); white.alpha_composite(im)
    im = white.convert("RGB")
    side = min(im.size); left, top = (im.width - side) // 2, (im.height - side) // 2
    im = im.crop((left, top, left + side, top + side)).resize((N, N), Image.Resampling.BICUBIC)
    im.save(name + ".want.png", optimize=True)
