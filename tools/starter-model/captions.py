"""The vocabulary for covers, captions generated from it, and the matching tokenizer."""

import random
import re
from dataclasses import dataclass

import numpy as np

COLOURS = {
    "red": ["red", "red", "crimson", "scarlet"],
    "orange": ["orange", "orange", "tangerine"],
    "yellow": ["yellow", "yellow", "lemon", "golden"],
    "green": ["green", "green", "emerald"],
    "blue": ["blue", "blue", "cobalt", "azure"],
    "purple": ["purple", "purple", "violet"],
    "pink": ["pink", "pink", "rose"],
    "brown": ["brown", "brown", "chocolate"],
    "black": ["black", "black", "jet"],
    "white": ["white", "white", "ivory"],
}
SHAPES = {
    "circle": ["circle", "circle", "disc", "disk", "ball", "sun"],
    "square": ["square", "square", "box", "block"],
    "triangle": ["triangle", "triangle", "pyramid", "wedge"],
    "star": ["star"],
    "ring": ["ring", "ring", "hoop", "donut"],
    "cross": ["cross", "cross", "plus"],
    "heart": ["heart", "heart", "love"],
    "diamond": ["diamond", "diamond", "rhombus", "lozenge"],
    "crescent": ["crescent", "crescent", "moon"],
}
TEXTURES = {
    "stripes": ["stripes", "stripes", "lines", "bars", "striped", "stripy", "stripe"],
    "dots": ["dots", "dots", "spots", "dotted", "spotted", "dot", "polka dots"],
    "grid": ["grid", "grid", "mesh", "net", "lattice"],
    "waves": ["waves", "waves", "ripples", "wavy", "wave", "wavy lines"],
    "checkerboard": ["checkerboard", "checks", "chessboard", "checkered", "chequered", "checked"],
    "rays": ["rays", "rays", "sunburst", "beams", "sunbeams", "ray"],
}
TAGS = ["shape", "shapeColour", "texture", "textureColour", "baseColour"]
WORDS = {"shape": SHAPES, "texture": TEXTURES, "shapeColour": COLOURS, "textureColour": COLOURS, "baseColour": COLOURS}
CODES = {tag: {name: i for i, name in enumerate(WORDS[tag])} for tag in TAGS}

IRREGULAR = {"box": "boxes", "cross": "crosses", "rhombus": "rhombuses", "plus": "pluses", "love": "love"}

# S, T: a shape, a texture; s, t, b: the colours of the shape, of the texture's ink, of the ground.
FORMS = [
    ("sS", ["{s} {S}", "a {s} {S}", "a {S} in {s}", "{S} that is {s}", "the {S} is {s}", "{s} colored {S}", "one {s} {S}", "{S} of {s} color", "a {S} , {s}", "{s} coloured {S} shape"]),
    ("tT", ["{t} {T}", "{T} in {t}", "{T} of {t}", "{t} {T} pattern", "a pattern of {t} {T}", "covered with {t} {T}", "{t} {T} everywhere", "{t} {T} background", "{T} , {t}", "{t} colored {T} texture"]),
    ("S", ["{S}", "a {S}", "a {S} shape", "some {S}"]),
    ("T", ["{T}", "a pattern of {T}", "{T} pattern", "{T} texture"]),
    ("b", ["{b} background", "on {b}", "a {b} ground", "on a {b} background"]),
    ("sSb", ["a {s} {S} on {b}", "{s} {S} on a {b} background", "{s} {S} against {b}", "{b} with a {s} {S}"]),
    ("tTb", ["{t} {T} on {b}", "{t} {T} over a {b} background", "{t} and {b} {T}", "{b} with {t} {T}"]),
    ("sST", ["a {s} {S} on {T}", "{s} {S} over {T}", "{T} behind a {s} {S}"]),
    ("StT", ["a {S} on {t} {T}", "{t} {T} behind a {S}", "{t} {T} with a {S}"]),
    ("ST", ["a {S} on {T}", "{S} and {T}", "{T} with a {S}"]),
    ("sStT", ["a {s} {S} on {t} {T}", "{s} {S} and {t} {T}", "{t} {T} with a {s} {S}", "a {s} {S} in front of {t} {T}"]),
    ("sStTb", ["a {s} {S} on {b} with {t} {T}", "{s} {S} , {t} {T} , {b} background"]),
]
FORM_WEIGHTS = [6, 6, 2, 2, 1, 3, 3, 2, 2, 1, 4, 2]
LETTERS = {"s": "shapeColour", "S": "shape", "t": "textureColour", "T": "texture", "b": "baseColour"}
OPENINGS = ["album cover with", "a cover with", "a record sleeve with", "a picture of", "a photo of", "an image of", "cover art showing", "i want", "the one with", "find", "an album with", "it has", "there is", "minimalist", "abstract"]
MANNERS = ["big", "small", "large", "bright", "bold", "several", "many", "two", "three", "some", "geometric", "simple"]
UNKNOWN = "[UNK]"


@dataclass
class Caption:
    text: str
    wants: list[int]
    """The required code of each of TAGS, or -1 for any."""


def plural(word: str) -> str:
    return IRREGULAR.get(word, word + "s")


def make_caption(tags: dict[str, str], chance: random.Random) -> Caption:
    """A random caption that is true of a cover with these tags."""
    letters, forms = chance.choices(FORMS, FORM_WEIGHTS)[0]
    words = {letter: chance.choice(WORDS[LETTERS[letter]][tags[LETTERS[letter]]]) for letter in letters}
    if "S" in words and chance.random() < 0.3:
        words["S"] = plural(words["S"])
    text = chance.choice(forms).format(**words)
    if chance.random() < 0.25:
        text = f"{chance.choice(MANNERS)} {text}"
    if chance.random() < 0.35:
        text = f"{chance.choice(OPENINGS)} {text}"
    if chance.random() < 0.15:
        spoken = text.split()
        spoken.insert(chance.randint(0, len(spoken)), UNKNOWN)
        text = " ".join(spoken)
    wanted = {LETTERS[letter] for letter in letters}
    return Caption(text, [CODES[tag][tags[tag]] if tag in wanted else -1 for tag in TAGS])


def codes_of(tags: dict[str, str]) -> list[int]:
    return [CODES[tag][tags[tag]] for tag in TAGS]


def matches(wants: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Whether each caption [n, 5] is true of each cover [m, 5]."""
    return ((wants[:, None] == -1) | (wants[:, None] == codes[None])).all(2)


def vocabulary() -> list[str]:
    words = set()
    for table in (COLOURS, SHAPES, TEXTURES):
        for choices in table.values():
            for choice in choices:
                words.update(choice.split())
    words.update(plural(word) for choices in SHAPES.values() for word in choices)
    for _, forms in FORMS:
        for form in forms:
            words.update(re.sub(r"\{.\}", "", form).split())
    for phrase in OPENINGS + MANNERS:
        words.update(phrase.split())
    return ["[START]", "[END]", UNKNOWN, *sorted(words)]


def tokenizer_json(words: list[str]) -> dict:
    """`tokenizer.json` for Hugging Face tokenizers: lower-cased whole words between start and end tokens."""
    special = [
        {"id": i, "content": words[i], "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
        for i in range(3)
    ]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": special,
        "normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Lowercase"}]},
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "[START]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "[END]", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {
                "[START]": {"id": "[START]", "ids": [0], "tokens": ["[START]"]},
                "[END]": {"id": "[END]", "ids": [1], "tokens": ["[END]"]},
            },
        },
        "decoder": None,
        "model": {"type": "WordLevel", "vocab": {word: i for i, word in enumerate(words)}, "unk_token": UNKNOWN},
    }


class Tokens:
    """The same tokenizer, for training."""

    def __init__(self) -> None:
        self.words = vocabulary()
        self.ids = {word: i for i, word in enumerate(self.words)}

    def __call__(self, text: str) -> list[int]:
        return [0, *(self.ids.get(word, 2) for word in text.split()), 1]
