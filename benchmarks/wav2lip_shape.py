"""A network of the shape of Wav2Lip's generator (Prajwal et al. 2020), to be timed: random weights.

Built from the published layer table: 96 × 96 pixels, 36 M parameters; every convolution but the
last is followed by batch normalisation and ReLU, repeated ones add their input.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

Pair = int | tuple[int, int]
Row = tuple[int, int, Pair, int, int]
"""Channels out, kernel, stride, padding, and how many residual layers follow."""

FACE: tuple[Row, ...] = (
    (16, 7, 1, 3, 0), (32, 3, 2, 1, 2), (64, 3, 2, 1, 3), (128, 3, 2, 1, 2), (256, 3, 2, 1, 2),
    (512, 3, 2, 1, 1), (512, 3, 1, 0, 0),
)  # fmt: skip
SOUND: tuple[Row, ...] = (
    (32, 3, 1, 1, 2), (64, 3, (3, 1), 1, 2), (128, 3, 3, 1, 2), (256, 3, (3, 2), 1, 1),
    (512, 3, 1, 0, 0), (512, 1, 1, 0, 0),
)  # fmt: skip
PICTURE: tuple[Row, ...] = (
    (512, 3, 1, 0, 1), (512, 3, 2, 1, 2), (384, 3, 2, 1, 2), (256, 3, 2, 1, 2), (128, 3, 2, 1, 2),
    (64, 3, 2, 1, 2),
)  # fmt: skip
FACE_CHANNELS, PIXELS, MELS, STEPS = 6, 96, 80, 16


class Layer(nn.Module):
    """Convolution, normalisation, ReLU."""

    def __init__(self, convolution: nn.Module, width: int, residual: bool = False) -> None:
        super().__init__()
        self.block = nn.Sequential(convolution, nn.BatchNorm2d(width))
        self.residual = residual

    def forward(self, x: Tensor) -> Tensor:
        y = self.block(x)
        return torch.relu(y + x if self.residual else y)


def stage(channels: int, row: Row, upwards: bool = False) -> nn.Sequential:
    width, kernel, stride, padding, residuals = row
    if upwards:
        first: nn.Module = nn.ConvTranspose2d(
            channels, width, kernel, stride, padding, output_padding=int(stride != 1)
        )
    else:
        first = nn.Conv2d(channels, width, kernel, stride, padding)
    same = [Layer(nn.Conv2d(width, width, 3, 1, 1), width, True) for _ in range(residuals)]
    return nn.Sequential(Layer(first, width), *same)


class Generator(nn.Module):
    """A masked face beside a reference, and a fifth of a second of mel bands, to a picture."""

    def __init__(self) -> None:
        super().__init__()
        faces = [FACE_CHANNELS, *(row[0] for row in FACE)]
        self.face = nn.ModuleList(stage(c, row) for c, row in zip(faces, FACE, strict=False))
        self.face.append(stage(512, (512, 1, 1, 0, 0)))
        sounds = [1, *(row[0] for row in SOUND)]
        self.sound = nn.Sequential(*(stage(c, r) for c, r in zip(sounds, SOUND, strict=False)))
        self.start = stage(512, (512, 1, 1, 0, 0))
        # Each level takes what the face's encoder had at that size.
        skips = [512, *(row[0] for row in reversed(FACE[:-1]))]
        below = [512, *(row[0] for row in PICTURE)]
        self.picture = nn.ModuleList(
            stage(b + s, row, True) for b, s, row in zip(below, skips, PICTURE, strict=False)
        )
        self.head = nn.Sequential(stage(64 + FACE[0][0], (32, 3, 1, 1, 0)), nn.Conv2d(32, 3, 1))

    def forward(
        self, sound: Float[Tensor, "B 1 80 16"], face: Float[Tensor, "B 6 96 96"]
    ) -> Float[Tensor, "B 3 96 96"]:
        levels = []
        for level in self.face:
            face = level(face)
            levels.append(face)
        # The last two levels are one pixel wide: only the later one is joined.
        levels.pop(-2)
        x = self.start(self.sound(sound))
        for level, skip in zip(self.picture, reversed(levels), strict=False):
            x = level(torch.cat([x, skip], 1))
        return torch.sigmoid(self.head(torch.cat([x, levels[0]], 1)))
