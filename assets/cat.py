"""Draws cat.jpg, the picture of `d2l_ch7 augment` where none is named: left and right, up and down, and colours differ.

    python cat.py            writes cat.jpg beside this file; needs Pillow and NumPy

The picture and this script are dedicated to the public domain (CC0 1.0).
"""

import math
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

WIDTH, HEIGHT = 500, 400
# Everything is drawn so many times larger.
FINE = 4

FUR, DARK_FUR, LIGHT_FUR = (232, 140, 62), (176, 88, 34), (255, 236, 208)
INK = (66, 40, 30)

Point = tuple[float, float]


def fine(points: list[Point]) -> list[Point]:
    """Points of the picture on the large sheet."""
    return [(x * FINE, y * FINE) for x, y in points]


def gradient(top: tuple[int, ...], bottom: tuple[int, ...]) -> Image.Image:
    """A sheet that goes from one colour to another."""
    share = np.linspace(0, 1, HEIGHT * FINE)[:, None, None]
    rows = np.array(top) * (1 - share) + np.array(bottom) * share
    return Image.fromarray(np.broadcast_to(rows, (HEIGHT * FINE, WIDTH * FINE, 3)).round().astype(np.uint8))


def smooth(points: list[Point], closed: bool = True, steps: int = 14) -> list[Point]:
    """A Catmull-Rom curve through points."""
    n = len(points)
    curve = []
    for i in range(n if closed else n - 1):
        if closed:
            p = [points[(i + k) % n] for k in (-1, 0, 1, 2)]
        else:
            p = [points[min(max(i + k, 0), n - 1)] for k in (-1, 0, 1, 2)]
        for t in np.arange(steps) / steps:
            curve.append(
                tuple(
                    0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
                    for a, b, c, d in zip(*p)
                )
            )
    return curve if closed else [*curve, points[-1]]


class Sheet:
    """The picture while it is drawn."""

    def __init__(self) -> None:
        self.image = gradient((92, 164, 222), (236, 240, 226))

    def mask(self, points: list[Point]) -> Image.Image:
        """Where a shape is."""
        mask = Image.new("L", self.image.size)
        ImageDraw.Draw(mask).polygon(fine(points), fill=255)
        return mask

    def fill(self, points: list[Point], colour: tuple[int, ...], within: Image.Image | None = None, blur: float = 0):
        """Fills a shape, perhaps only within another, its edge blurred by so many pixels."""
        mask = self.mask(points)
        if blur:
            mask = mask.filter(ImageFilter.GaussianBlur(blur * FINE))
        if within:
            mask = ImageChops.multiply(mask, within)
        if len(colour) == 4:
            mask = mask.point(lambda cover: cover * colour[3] // 255)
        self.image.paste(colour[:3], mask=mask)

    def line(self, points: list[Point], width: float, colour: tuple[int, ...]) -> None:
        """A line with round ends."""
        draw = ImageDraw.Draw(self.image)
        draw.line(fine(points), fill=colour, width=round(width * FINE), joint="curve")
        for x, y in (points[0], points[-1]):
            self.fill(ellipse(x, y, width / 2, width / 2), colour)


def ellipse(x: float, y: float, a: float, b: float, turn: float = 0) -> list[Point]:
    """An ellipse with half axes a and b, turned by degrees."""
    c, s = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    angles = np.linspace(0, 2 * math.pi, 96, endpoint=False)
    return [(x + a * math.cos(t) * c - b * math.sin(t) * s, y + a * math.cos(t) * s + b * math.sin(t) * c) for t in angles]


def thick(points: list[Point], widths: list[float]) -> list[Point]:
    """The outline of a curve whose width changes."""
    curve = smooth(points, closed=False)
    w = np.interp(np.linspace(0, 1, len(curve)), np.linspace(0, 1, len(widths)), widths) / 2
    d = np.gradient(np.array(curve), axis=0)
    normal = np.stack([-d[:, 1], d[:, 0]], 1) / np.linalg.norm(d, axis=1, keepdims=True)
    left, right = np.array(curve) + normal * w[:, None], np.array(curve) - normal * w[:, None]
    return [tuple(p) for p in [*left, *right[::-1]]]


def landscape(sheet: Sheet) -> None:
    """Sky with sun and clouds, hills, a tree on the right, a meadow with flowers."""
    for radius, cover in ((66, 36), (56, 44), (46, 60)):
        sheet.fill(ellipse(78, 74, radius, radius), (255, 244, 196, cover), blur=9)
    sheet.fill(ellipse(78, 74, 33, 33), (255, 216, 84))
    for x, y, size in ((205, 62, 1.0), (318, 104, 0.7)):
        for dx, dy, r in ((-34, 6, 15), (-12, -4, 21), (14, -2, 18), (34, 7, 13)):
            sheet.fill(ellipse(x + dx * size, y + dy * size, r * size * 1.25, r * size), (255, 255, 255, 235), blur=1)
    far = [(-10, 250), (60, 205), (130, 226), (215, 180), (300, 214), (390, 176), (520, 222), (520, 420), (-10, 420)]
    sheet.fill(smooth(far[:7], closed=False) + far[7:], (136, 178, 178))
    near = [(-10, 262), (90, 250), (190, 262), (300, 238), (410, 250), (520, 228), (520, 420), (-10, 420)]
    sheet.fill(smooth(near[:6], closed=False) + near[6:], (112, 176, 92))
    meadow = [(-10, 312), (120, 292), (260, 306), (400, 290), (520, 304), (520, 420), (-10, 420)]
    sheet.fill(smooth(meadow[:5], closed=False) + meadow[5:], (82, 150, 66))

    sheet.fill(thick([(446, 306), (441, 250), (446, 190), (440, 130)], [30, 20, 17, 10]), (112, 76, 52))
    sheet.line([(444, 212), (466, 186), (472, 160)], 8, (112, 76, 52))
    crown = ((402, 112, 38), (440, 78, 46), (478, 112, 40), (436, 132, 44), (488, 150, 26))
    for x, y, r in crown:
        sheet.fill(ellipse(x, y, r, r * 0.9), (46, 112, 60))
    for x, y, r in crown[:4]:
        sheet.fill(ellipse(x - r * 0.22, y - r * 0.25, r * 0.66, r * 0.56), (78, 146, 74, 190), blur=3)
    for x, y in ((394, 100), (424, 62), (452, 100), (478, 92), (428, 136), (462, 144), (492, 150), (400, 136)):
        sheet.fill(ellipse(x, y, 6.5, 6.5), (206, 46, 52))
        sheet.fill(ellipse(x - 2, y - 2, 2, 2), (255, 176, 164))

    rng = np.random.default_rng(7)
    for _ in range(150):
        x, y = rng.uniform(0, WIDTH), rng.uniform(318, HEIGHT)
        tall = rng.uniform(7, 13)
        blade = [(x - 1.6, y), (x + rng.uniform(-5, 5), y - tall), (x + 1.6, y)]
        sheet.fill(blade, ((64, 130, 54), (104, 172, 78))[int(rng.integers(2))])
    for x, y, size, petals in (
        (36, 352, 8, (244, 244, 250)), (88, 380, 9, (226, 84, 142)), (64, 326, 6, (250, 214, 70)),
        (392, 384, 9, (244, 244, 250)), (470, 350, 8, (142, 96, 206)), (486, 388, 8, (250, 214, 70)),
        (330, 388, 7, (226, 84, 142)), (424, 336, 6, (244, 244, 250)),
    ):  # fmt: skip
        sheet.line([(x, y), (x + 1, y + size * 2)], 2, (52, 112, 48))
        for k in range(5):
            angle = k * 2 * math.pi / 5 + 0.3
            sheet.fill(ellipse(x + size * 0.62 * math.cos(angle), y + size * 0.62 * math.sin(angle), size * 0.5, size * 0.5), petals)
        sheet.fill(ellipse(x, y, size * 0.36, size * 0.36), (240, 164, 40))


def body(sheet: Sheet) -> None:
    """The cat's body, sitting, its tail to the right."""
    sheet.fill(ellipse(232, 376, 132, 17), (30, 70, 34, 120), blur=6)
    tail = thick([(290, 356), (346, 366), (384, 336), (372, 290), (386, 258)], [30, 26, 24, 22, 15])
    sheet.fill(tail, FUR)
    within = sheet.mask(tail)
    for x, y, turn in ((330, 364, 8), (366, 352, -40), (380, 322, -84), (374, 292, 80)):
        sheet.fill(ellipse(x, y, 5, 20, turn), DARK_FUR, within)
    sheet.fill(ellipse(387, 256, 8.5, 9, 20), LIGHT_FUR)
    sheet.fill(ellipse(386, 262, 17, 14), LIGHT_FUR, within)

    trunk = smooth([(190, 210), (164, 262), (150, 322), (160, 372), (236, 382), (306, 372), (318, 326), (294, 262), (262, 210)])
    sheet.fill(trunk, FUR)
    within = sheet.mask(trunk)
    sheet.fill(ellipse(322, 320, 44, 96), (150, 70, 26, 120), within, blur=14)
    for y, long in ((262, 30), (286, 38), (310, 42)):
        sheet.fill(thick([(316, y + 10), (302 - long * 0.3, y + 2), (300 - long, y)], [13, 9, 2]), DARK_FUR, within)
    sheet.fill(ellipse(222, 286, 34, 56), LIGHT_FUR, within, blur=3)
    haunch = smooth([(262, 382), (254, 340), (278, 314), (310, 322), (322, 356), (308, 382)])
    sheet.fill(haunch, FUR)
    sheet.line(smooth([(256, 372), (254, 340), (278, 314), (304, 318)], closed=False), 2.4, DARK_FUR)
    for x in (196, 240):
        sheet.fill(smooth([(x - 17, 300), (x - 18, 350), (x - 22, 378), (x, 386), (x + 20, 378), (x + 15, 350), (x + 13, 300)]), FUR)
        sheet.fill(ellipse(x, 375, 21, 12), LIGHT_FUR)
        for dx in (-7, 5):
            sheet.line([(x + dx, 374), (x + dx, 383)], 1.8, DARK_FUR)
    sheet.line([(219, 318), (219, 372)], 2.2, DARK_FUR)
    sheet.fill(ellipse(288, 378, 28, 10), LIGHT_FUR)


def head(sheet: Sheet) -> None:
    """The cat's head, a little on one side; one ear is dark."""
    collar = thick([(178, 222), (196, 237), (218, 243), (242, 238), (264, 222)], [12, 15, 16, 15, 12])
    sheet.fill(collar, (38, 92, 186))
    for points, inner, colour in (
        ([(151, 146), (147, 74), (202, 110)], [(158, 130), (154, 94), (184, 110)], FUR),
        ([(240, 106), (290, 66), (288, 142)], [(254, 110), (281, 90), (279, 130)], DARK_FUR),
    ):
        sheet.fill(points, colour)
        sheet.line([*points, points[0]], 9, colour)
        sheet.fill(ellipse(*points[1], 4.5, 4.5), colour)
        sheet.fill(inner, (244, 168, 160))
    face = smooth([(218, 93), (262, 104), (294, 148), (292, 194), (258, 226), (218, 234), (178, 226), (144, 196), (142, 150), (174, 105)])
    sheet.fill(face, FUR)
    within = sheet.mask(face)
    sheet.fill(smooth([(262, 94), (310, 120), (306, 186), (268, 176), (246, 140)]), DARK_FUR, within, blur=2)
    for points in ([(200, 91), (204, 116), (203, 132)], [(218, 88), (219, 114), (218, 138)], [(236, 91), (233, 116), (232, 130)]):
        sheet.fill(thick(points, [11, 8, 2]), DARK_FUR, within)
    for points in ([(136, 166), (154, 170), (166, 174)], [(138, 186), (156, 187), (168, 188)]):
        sheet.fill(thick(points, [10, 7, 2]), DARK_FUR, within)
    sheet.fill(ellipse(202, 204, 27, 22), LIGHT_FUR, within)
    sheet.fill(ellipse(236, 204, 27, 22), LIGHT_FUR, within)
    sheet.fill(ellipse(219, 222, 20, 13), LIGHT_FUR, within)
    for x, tilt in ((184, 8), (254, -8)):
        sheet.fill(ellipse(x, 166, 20, 17, tilt), INK)
        sheet.fill(ellipse(x, 166, 17.6, 14.8, tilt), (138, 198, 74))
        sheet.fill(ellipse(x, 170, 14, 9, tilt), (186, 222, 104), blur=2)
        sheet.fill(ellipse(x + 1, 166, 7.4, 13), (24, 22, 26))
        sheet.fill(ellipse(x - 4, 160, 4, 4), (255, 255, 255))
        sheet.fill(ellipse(x + 5, 172, 2, 2), (255, 255, 255))
    sheet.fill(smooth([(209, 189), (219, 187), (229, 189), (224, 197), (219, 200), (214, 197)]), (222, 104, 110))
    for side in (-1, 1):
        sheet.line(smooth([(219, 200), (219 + side, 209), (219 + side * 9, 214), (219 + side * 19, 208)], closed=False), 2.4, INK)
        for dy, reach in ((-6, 76), (2, 82), (10, 74)):
            whisker = [(219 + side * 26, 203 + dy * 0.5), (219 + side * 52, 200 + dy * 1.1), (219 + side * reach, 200 + dy * 2.2)]
            sheet.fill(thick(whisker, [2.2, 1.8, 0.8]), (255, 252, 244))
    sheet.fill(ellipse(219, 254, 11, 11), (246, 200, 60))
    sheet.line([(212, 254), (226, 254)], 1.8, INK)
    sheet.fill(ellipse(219, 258, 2, 2), INK)


def yarn(sheet: Sheet) -> None:
    """A ball of yarn on the left, and its end."""
    sheet.fill(ellipse(102, 366, 36, 8), (30, 70, 34, 120), blur=4)
    thread = smooth([(122, 362), (146, 388), (172, 390), (186, 396), (226, 392)], closed=False)
    sheet.line(thread, 3, (178, 40, 96))
    ball = ellipse(102, 340, 31, 30)
    sheet.fill(ball, (216, 58, 118))
    within = sheet.mask(ball)
    sheet.fill(ellipse(116, 356, 30, 26), (150, 26, 84, 130), within, blur=8)
    sheet.fill(ellipse(92, 326, 12, 9), (255, 170, 200, 150), within, blur=5)
    for turn, shift in ((30, -16), (30, -5), (30, 7), (30, 18), (-50, -12), (-50, 2), (-50, 14)):
        c, s = math.cos(math.radians(turn)), math.sin(math.radians(turn))
        arc = [(-34, shift + 6), (-12, shift - 3), (12, shift - 3), (34, shift + 6)]
        arc = [(102 + x * c - y * s, 340 + x * s + y * c) for x, y in arc]
        sheet.fill(thick(arc, [1.6, 2.2, 1.6]), (158, 30, 88), within)


def main() -> None:
    """Draws and writes."""
    sheet = Sheet()
    for draw in (landscape, body, head, yarn):
        draw(sheet)
    picture = sheet.image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
    picture.save(Path(__file__).with_name("cat.jpg"), quality=90, optimize=True)


if __name__ == "__main__":
    main()
