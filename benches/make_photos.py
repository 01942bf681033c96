"""Writes synthetic photographs to decode: python benches/make_photos.py FOLDER

FOLDER/500x375 and FOLDER/1200x900 get eight JPEGs each of quality 85 with 4:2:0 chroma, FOLDER/500x375-progressive and
FOLDER/1200x900-progressive the same pictures as progressive files. Needs NumPy and Pillow.
"""

import pathlib
import sys

import numpy as np
from PIL import Image

SIZES, PICTURES = [(500, 375), (1200, 900)], 8


def cloud(random: np.random.Generator, width: int, height: int) -> np.ndarray:
    """Noise of which the amplitude falls with the spatial frequency, as in photographs, with deviation 1."""
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    frequency[0, 0] = np.inf
    noise = np.fft.irfft2(np.fft.rfft2(random.normal(size=(height, width))) / frequency**1.2, s=(height, width))
    return noise / noise.std()


def photograph(seed: int, width: int, height: int) -> Image.Image:
    random = np.random.default_rng(seed)
    light = cloud(random, width, height)
    colours = np.stack([light + 0.35 * cloud(random, width, height) for _ in range(3)], axis=-1)
    y, x = np.mgrid[0:height, 0:width]
    # Things with sharp outlines and colours of their own.
    for _ in range(12):
        centre, radius = random.random(2) * (width, height), random.uniform(0.04, 0.25) * height
        inside = np.hypot(x - centre[0], (y - centre[1]) * random.uniform(0.5, 2)) < radius
        colours[inside] = 0.5 * colours[inside] + random.normal(0, 0.8, 3)
    pixels = 115 + 48 * colours + random.normal(0, 3, (height, width, 1))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def main() -> None:
    folder = pathlib.Path(sys.argv[1])
    for width, height in SIZES:
        for kind, progressive in [("", False), ("-progressive", True)]:
            (folder / f"{width}x{height}{kind}").mkdir(parents=True, exist_ok=True)
            for i in range(PICTURES):
                path = folder / f"{width}x{height}{kind}" / f"photo-{i}.jpg"
                photograph(i, width, height).save(path, quality=85, subsampling="4:2:0", progressive=progressive)


if __name__ == "__main__":
    main()
