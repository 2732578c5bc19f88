"""Trains the starter model and writes it in the Hugging Face layout.

usage: python train.py COVERS_FOLDER OUT_FOLDER [--steps 2000] [--seed 1]

COVERS_FOLDER is the output of draw.ts. Needs torch, numpy and onnx (see README.md here).
"""

import argparse
import json
import math
import random
import time
import warnings
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from captions import CODES, TAGS, Tokens, codes_of, make_caption, matches, tokenizer_json
from model import CONTEXT, EMBEDDING, IMAGE_SIZE, Text, Vision
from photograph import photograph

EDGE = 192
MEAN = (0.5, 0.5, 0.5)
STD = (0.25, 0.25, 0.25)
BATCH = 256
PEAK_RATE = 2e-3


class Covers:
    def __init__(self, folder: Path, name: str) -> None:
        self.tags = [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]
        self.pixels = np.memmap(folder / f"{name}.rgb", np.uint8, "r", shape=(len(self.tags), EDGE, EDGE, 3))
        self.codes = np.array([codes_of(tags) for tags in self.tags])

    def __getitem__(self, rows: np.ndarray) -> torch.Tensor:
        """[n, 3, 192, 192], 0 to 1."""
        return torch.from_numpy(self.pixels[rows]).permute(0, 3, 1, 2).float() / 255


def batches(covers: Covers, chance: np.random.Generator):
    """Batches of rows. Covers of the same shape and colour come in groups of four, as hard negatives."""
    kind = covers.codes[:, 0] * 100 + covers.codes[:, 1]
    while True:
        order = chance.permutation(len(kind))
        fours = order[np.argsort(kind[order], kind="stable")]
        fours = fours[: len(fours) // 4 * 4].reshape(-1, 4)
        fours = fours[chance.permutation(len(fours))].reshape(-1)
        for at in range(0, len(fours) - BATCH + 1, BATCH):
            yield fours[at : at + BATCH]


def normalised(pixels: torch.Tensor) -> torch.Tensor:
    mean = torch.tensor(MEAN).view(1, 3, 1, 1)
    std = torch.tensor(STD).view(1, 3, 1, 1)
    return ((pixels - mean) / std).to(memory_format=torch.channels_last)


def shrunk(pixels: torch.Tensor) -> torch.Tensor:
    size = (IMAGE_SIZE, IMAGE_SIZE)
    return F.interpolate(pixels, size, mode="bicubic", antialias=True).clamp(0, 1)


def padded(captions: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    longest = max(map(len, captions))
    ids = torch.tensor([row + [0] * (longest - len(row)) for row in captions])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in captions])
    return ids, mask


def ranking_loss(scores: torch.Tensor, fits: torch.Tensor) -> torch.Tensor:
    """Each positive pair of a row must score above all negative pairs of the row."""
    others = scores.masked_fill(fits, -1e4).logsumexp(1, keepdim=True)
    losses = F.softplus(others - scores) * fits
    return (losses.sum(1) / fits.sum(1)).mean()


@torch.no_grad()
def embed(vision: Vision, pixels: torch.Tensor) -> torch.Tensor:
    return torch.cat([F.normalize(vision(normalised(part)), dim=1) for part in pixels.split(128)])


@torch.no_grad()
def evaluate(vision: Vision, text: Text, tokens: Tokens, starter: Covers) -> str:
    """Evaluates on the starter set, for monitoring only: nothing is selected by it."""
    vision.eval(), text.eval()
    pixels = starter[np.arange(len(starter.tags))]
    index = embed(vision, shrunk(pixels))
    photos = torch.cat([photograph(part, IMAGE_SIZE) for part in pixels.split(128)])
    ranks = (embed(vision, photos) @ index.T).argsort(1, descending=True)
    place = (ranks == torch.arange(len(index))[:, None]).float().argmax(1)
    shown = []
    for shape, colour in (("shape", "shapeColour"), ("texture", "textureColour")):
        for thing, thing_code in CODES[shape].items():
            for name, code in CODES[colour].items():
                vector = F.normalize(text(torch.tensor([tokens(f"{name} {thing}")])), dim=1)
                best = (vector @ index.T)[0].topk(5).indices.numpy()
                found = starter.codes[best]
                shown.append(((found[:, TAGS.index(shape)] == thing_code) & (found[:, TAGS.index(colour)] == code)).mean())
    vision.train(), text.train()
    return f"photo@1 {(place == 0).float().mean():.3f} photo@5 {(place < 5).float().mean():.3f} text {np.mean(shown):.3f}"


def train(covers: Covers, starter: Covers, tokens: Tokens, steps: int, seed: int) -> tuple[Vision, Text]:
    torch.manual_seed(seed)
    chance = random.Random(seed)
    vision = Vision().to(memory_format=torch.channels_last)
    text = Text(len(tokens.words))
    scales = torch.nn.Parameter(torch.tensor([math.log(14.0), math.log(14.0)]))
    weights = [p for p in [*vision.parameters(), *text.parameters()] if p.ndim > 1]
    others = [p for p in [*vision.parameters(), *text.parameters()] if p.ndim <= 1]
    groups = [{"params": weights, "weight_decay": 0.05}, {"params": [*others, scales], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=PEAK_RATE, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_RATE, total_steps=steps, pct_start=0.08)
    source = batches(covers, np.random.default_rng(seed))
    started = time.time()
    for step in range(1, steps + 1):
        rows = next(source)
        pixels = covers[rows]
        captions = [make_caption(covers.tags[row], chance) for row in rows]
        ids, mask = padded([tokens(caption.text) for caption in captions])
        fits = torch.from_numpy(matches(np.array([caption.wants for caption in captions]), covers.codes[rows]))
        views = normalised(torch.cat([photograph(pixels, IMAGE_SIZE), shrunk(pixels)]))
        with torch.autocast("cpu", torch.bfloat16):
            images = vision(views)
            texts = text(ids, mask)
        photos, flat = F.normalize(images.float(), dim=1).chunk(2)
        words = F.normalize(texts.float(), dim=1)
        by_photo, by_text = scales.clamp(max=math.log(100)).exp()
        same = by_photo * photos @ flat.T
        target = torch.arange(len(rows))
        album = (F.cross_entropy(same, target) + F.cross_entropy(same.T, target)) / 2
        spoken = by_text * words @ flat.T
        seen = by_text * words @ photos.T
        caption = (2 * ranking_loss(spoken, fits) + ranking_loss(spoken.T, fits.T) + ranking_loss(seen, fits)) / 4
        loss = album + caption
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_([*vision.parameters(), *text.parameters()], 1.0)
        optimizer.step()
        schedule.step()
        if step % 50 == 0 or step == steps:
            pace = (time.time() - started) / step
            scores = f" {evaluate(vision, text, tokens, starter)}" if step % 250 == 0 or step == steps else ""
            print(f"step {step}/{steps} album {album:.3f} captions {caption:.3f} {pace:.2f} s a step{scores}", flush=True)
    return vision.eval(), text.eval()


def export(vision: Vision, text: Text, tokens: Tokens, out: Path) -> None:
    """Writes `vision_model.onnx`, `text_model.onnx` and the JSON files of the model."""
    (out / "onnx").mkdir(parents=True, exist_ok=True)
    warnings.filterwarnings("ignore")
    pixels = torch.randn(2, 3, IMAGE_SIZE, IMAGE_SIZE)
    torch.onnx.export(
        vision.to(memory_format=torch.contiguous_format), (pixels,), out / "onnx" / "vision_model.onnx",
        input_names=["pixel_values"], output_names=["image_embeds"], opset_version=17, dynamo=False,
        dynamic_axes={"pixel_values": {0: "batch_size"}, "image_embeds": {0: "batch_size"}},
    )
    torch.onnx.export(
        text, (torch.zeros(2, 5, dtype=torch.long),), out / "onnx" / "text_model.onnx",
        input_names=["input_ids"], output_names=["text_embeds"], opset_version=17, dynamo=False,
        dynamic_axes={"input_ids": {0: "batch_size", 1: "sequence_length"}, "text_embeds": {0: "batch_size"}},
    )
    config = {"model_type": "clip", "projection_dim": EMBEDDING, "text_config": {"max_position_embeddings": CONTEXT}}
    size = {"height": IMAGE_SIZE, "width": IMAGE_SIZE}
    preprocessor = {
        "do_resize": True, "size": {"shortest_edge": IMAGE_SIZE}, "resample": 3, "do_center_crop": True, "crop_size": size,
        "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True, "image_mean": MEAN, "image_std": STD,
    }
    files = {"config": config, "preprocessor_config": preprocessor, "tokenizer": tokenizer_json(tokens.words)}
    for name, content in files.items():
        (out / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description="Trains the starter model.")
    parser.add_argument("covers", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    tokens = Tokens()
    covers, starter = Covers(options.covers, "covers"), Covers(options.covers, "starter")
    vision, text = train(covers, starter, tokens, options.steps, options.seed)
    export(vision, text, tokens, options.out)
    print(f"written to {options.out}")


if __name__ == "__main__":
    main()
