"""The two towers of the starter model, small enough to train on two CPU cores in half an hour."""

import torch
import torch.nn.functional as F
from torch import nn

IMAGE_SIZE = 128
EMBEDDING = 512
CONTEXT = 77


def conv_bn(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False),
        nn.BatchNorm2d(outputs),
    )


class Residual(nn.Module):
    """Two 3x3 convolutions with a skip connection."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = conv_bn(width, width, 3)
        self.second = conv_bn(width, width, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(x + self.second(F.relu(self.first(x))))


class Vision(nn.Module):
    """`pixel_values` [batch, 3, 128, 128] to `image_embeds` [batch, 512], not normalised."""

    def __init__(self, widths: tuple[int, ...] = (24, 48, 96, 160), grid: int = 48) -> None:
        super().__init__()
        a, b, c, d = widths
        self.stem = conv_bn(3, a, 5, 2)
        self.stage1 = nn.Sequential(conv_bn(a, b, 3, 2), nn.ReLU(), Residual(b))
        self.stage2 = nn.Sequential(conv_bn(b, c, 3, 2), nn.ReLU(), Residual(c), Residual(c))
        self.stage3 = nn.Sequential(conv_bn(c, d, 3, 2), nn.ReLU(), Residual(d))
        # Layout: a coarse grid of the last stage. Content: its mean and maximum.
        self.grid = conv_bn(d, grid, 1)
        self.place = nn.Linear(grid * 16, EMBEDDING)
        self.kind = nn.Linear(2 * d, EMBEDDING, bias=False)

    def features(self, pixels: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.stem(pixels))
        return self.stage3(self.stage2(self.stage1(x)))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        x = self.features(pixels)
        grid = F.avg_pool2d(F.relu(self.grid(x)), 2).flatten(1)
        pooled = torch.cat([x.mean((2, 3)), x.amax((2, 3))], 1)
        return self.place(grid) + self.kind(pooled)


class Text(nn.Module):
    """`input_ids` [batch, sequence] to `text_embeds` [batch, 512], not normalised. No padding."""

    def __init__(self, vocabulary: int, width: int = 128, heads: int = 4) -> None:
        super().__init__()
        self.token = nn.Embedding(vocabulary, width)
        self.position = nn.Embedding(CONTEXT, width)
        self.heads = heads
        self.norm1 = nn.LayerNorm(width)
        self.attend = nn.Linear(width, 3 * width)
        self.join = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.up = nn.Linear(width, 2 * width)
        self.down = nn.Linear(2 * width, width)
        self.norm3 = nn.LayerNorm(width)
        self.out = nn.Linear(2 * width, EMBEDDING)

    def forward(self, ids: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """`mask` [batch, sequence] is 1 for tokens, 0 for padding; only training pads and passes one."""
        places = torch.cumsum(torch.ones_like(ids[0]), 0) - 1
        x = self.token(ids) + self.position(places)
        batch, length, width = x.shape
        parts = self.attend(self.norm1(x)).view(batch, length, 3, self.heads, width // self.heads)
        q, k, v = parts.permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-1, -2) * (width // self.heads) ** -0.5
        if mask is not None:
            scores = scores.masked_fill(mask[:, None, None, :] == 0, -1e4)
        x = x + self.join((scores.softmax(-1) @ v).transpose(1, 2).reshape(batch, length, width))
        x = x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))
        x = self.norm3(x)
        weight = torch.ones_like(ids) if mask is None else mask
        weight = weight.unsqueeze(-1).to(x.dtype)
        mean = (x * weight).sum(1) / weight.sum(1)
        peak = (x - 1e4 * (1 - weight)).amax(1)
        return self.out(torch.cat([mean, peak], 1))
