"""Simulated photos of flat covers, in batches: the variations that the model must be robust to."""

import math

import torch
import torch.nn.functional as F


def between(low: float, high: float, *shape: int) -> torch.Tensor:
    return low + (high - low) * torch.rand(*shape)


def homography(corners: torch.Tensor) -> torch.Tensor:
    """Homographies [n, 3, 3] from photo to cover coordinates, given the covers' corners in the photos [n, 4, 2]."""
    n = len(corners)
    target = torch.tensor([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]]).expand(n, 4, 2)
    x, y = corners[..., 0], corners[..., 1]
    u, v = target[..., 0], target[..., 1]
    one, zero = torch.ones_like(x), torch.zeros_like(x)
    rows_u = torch.stack([x, y, one, zero, zero, zero, -u * x, -u * y], -1)
    rows_v = torch.stack([zero, zero, zero, x, y, one, -v * x, -v * y], -1)
    solved = torch.linalg.solve(torch.cat([rows_u, rows_v], 1), torch.cat([u, v], 1).unsqueeze(-1))
    return torch.cat([solved.squeeze(-1), torch.ones(n, 1)], 1).view(n, 3, 3)


def place(n: int) -> torch.Tensor:
    """Random positions of each cover's four corners in its photo (-1 to 1): [n, 4, 2]."""
    half = torch.where(torch.rand(n) < 0.3, between(0.95, 1.25, n), between(0.58, 1.0, n))
    square = torch.tensor([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    corners = square + between(-0.16, 0.16, n, 4, 2)
    angle = between(-17, 17, n) * math.pi / 180
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], -1).view(n, 2, 2)
    corners = (corners * half[:, None, None]) @ turn.transpose(1, 2)
    slack = (1.12 - half).abs()[:, None, None]
    return corners + between(-1, 1, n, 1, 2) * slack.clamp(max=0.4)


def backgrounds(covers: torch.Tensor, size: int) -> torch.Tensor:
    """Tables, floors and walls: soft patches of colour, wood grain, or another cover out of focus."""
    n = len(covers)
    colour = torch.rand(n, 3, 1, 1) * between(0.2, 1, n, 1, 1, 1)
    out = colour.expand(n, 3, size, size).clone()
    for cells in (2, 5, 16, 64):
        patch = torch.randn(n, 1, cells, cells) + 0.4 * torch.randn(n, 3, cells, cells)
        out += between(0, 0.13, n, 1, 1, 1) * F.interpolate(patch, (size, size), mode="bilinear")
    grain = F.interpolate(torch.randn(n, 1, 40, 2), (size, size), mode="bilinear")
    grain = torch.where(torch.rand(n, 1, 1, 1) < 0.5, grain, grain.transpose(2, 3))
    out += (torch.rand(n, 1, 1, 1) < 0.3) * between(0, 0.2, n, 1, 1, 1) * grain
    others = F.interpolate(F.avg_pool2d(covers.flip(0), 12), (size, size), mode="bilinear")
    return torch.where(torch.rand(n, 1, 1, 1) < 0.25, others, out.clamp(0, 1))


def scenery(covers: torch.Tensor, size: int) -> torch.Tensor:
    """A background per cover. Since drawing is slow, one is drawn per four covers and reused flipped or transposed."""
    few = backgrounds(covers[::4], size)
    ways = [few, few.flip(2), few.flip(3), few.transpose(2, 3)]
    return torch.stack(ways, 1).flatten(0, 1)[: len(covers)]


def blurred(pixels: torch.Tensor) -> torch.Tensor:
    """Blurs each eighth of the batch with its own random radius."""
    parts = []
    for part in pixels.chunk(8):
        sigma = float(between(0.05, 1.3, 1))
        taps = torch.exp(-(torch.arange(-3.0, 4.0) ** 2) / (2 * sigma * sigma))
        taps = (taps / taps.sum()).view(1, 1, 1, 7).expand(3, 1, 1, 7)
        padded = F.pad(part, (3, 3, 3, 3), mode="replicate")
        parts.append(F.conv2d(F.conv2d(padded, taps, groups=3), taps.transpose(2, 3), groups=3))
    return torch.cat(parts)


def photograph(covers: torch.Tensor, size: int) -> torch.Tensor:
    """Photos [n, 3, size, size] of covers [n, 3, h, w]; both 0 to 1."""
    n = len(covers)
    line = torch.linspace(-1, 1, size)
    y, x = torch.meshgrid(line, line, indexing="ij")
    points = torch.stack([x, y, torch.ones_like(x)], -1).view(1, -1, 3)
    seen = points @ homography(place(n)).transpose(1, 2)
    grid = (seen[..., :2] / seen[..., 2:]).view(n, size, size, 2)
    inside = ((grid.abs() <= 1).all(-1) & (seen[..., 2].view(n, size, size) > 0)).unsqueeze(1)
    warped = F.grid_sample(covers, grid, align_corners=False, padding_mode="border")
    pixels = torch.where(inside, warped, scenery(covers, size))

    pixels = pixels ** between(0.7, 1.4, n, 1, 1, 1)
    grey = pixels.mean(1, keepdim=True)
    pixels = grey + (pixels - grey) * between(0.55, 1.2, n, 1, 1, 1)
    middle = pixels.mean((1, 2, 3), keepdim=True)
    pixels = middle + (pixels - middle) * between(0.65, 1.2, n, 1, 1, 1)
    slope = between(-0.35, 0.35, n, 1, 1, 1) * x + between(-0.35, 0.35, n, 1, 1, 1) * y
    pixels = pixels * between(0.55, 1.35, n, 1, 1, 1) * between(0.82, 1.18, n, 3, 1, 1) * (1 + slope)

    centre = between(-1, 1, n, 2, 1, 1)
    wide, high = between(0.1, 0.7, 2, n, 1, 1)
    spot = torch.exp(-(((x - centre[:, 0]) / wide) ** 2) - ((y - centre[:, 1]) / high) ** 2)
    strength = (torch.rand(n, 1, 1) < 0.6) * between(0, 0.9, n, 1, 1)
    glare = (spot * strength).unsqueeze(1)
    pixels = pixels * (1 - glare) + glare

    pixels = blurred(pixels.clamp(0, 1))
    return (pixels + between(0, 0.05, n, 1, 1, 1) * torch.randn(n, 3, size, size)).clamp(0, 1)
