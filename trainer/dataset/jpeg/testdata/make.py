"""Makes this folder's JPEG files and what Pillow decodes them to, as PNG: pip install pillow; python3 make.py"""

import math

from PIL import Image

W, H = 37, 29  # odd: the last chroma sample of a row and of a column covers one pixel


def colour(x, y):
    """Smooth with edges: chroma changes within a block, and is cut off at 0 and 255."""
    wave = 110 * math.sin(x / 3) * math.cos(y / 4)
    return (int(min(255, max(0, 128 + 1.6 * wave))), 40 + 5 * x, 255 if (x // 5 + y // 7) % 2 else 8 * y % 256)


rgb = Image.new("RGB", (W, H))
rgb.putdata([colour(x, y) for y in range(H) for x in range(W)])
cmyk = Image.new("CMYK", (W, H))
cmyk.putdata([(*colour(x, y), (x * y) % 200) for y in range(H) for x in range(W)])

for name, image, options in (
    ("420", rgb, {"subsampling": "4:2:0"}),
    ("422", rgb, {"subsampling": "4:2:2"}),
    ("444", rgb, {"subsampling": "4:4:4"}),
    ("420-progressive", rgb, {"subsampling": "4:2:0", "progressive": True}),
    ("rgb", rgb, {"keep_rgb": True}),
    ("grey", rgb.convert("L"), {}),
    ("cmyk", cmyk, {}),
):
    image.save(name + ".jpg", quality=80, **options)
    Image.open(name + ".jpg").convert("RGB").save(name + ".png")
    for shrink in (2, 4, 8):  # by the decoder: Pillow's draft mode
        small = Image.open(name + ".jpg")
        small.draft(small.mode, (W // shrink, H // shrink))
        small.convert("RGB").save(f"{name}-{shrink}.png")

exif = Image.Exif()
exif[0x0112] = 6  # to be turned by 90 degrees, which convert("RGB") does not do
rgb.save("orientation.jpg", quality=80, exif=exif)
Image.open("orientation.jpg").convert("RGB").save("orientation.png")
