"""What the words of a key say, in the vocabulary of the field: streams, attention, feed-forward, modulation, embedders."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

#: Words by what they stand for. They are those that papers and code of the field share; no model is listed.
_VOCABULARY = {
    "image": "img image vid video visual vision latent latents x hidden sample pixel aud audio",
    "text": "txt text context ctx caption captions cap prompt encoder llm t5 y cond condition",
    "added": "add added",
    "self": "self own",
    "cross": "cross xattn xattention",
    "attention": "attn attention mha msa sa ca",
    "q": "q query queries wq toq",
    "k": "k key keys wk tok",
    "v": "v value values wv tov",
    "qkv": "qkv toqkv wqkv inproj",
    "kv": "kv tokv wkv",
    "o": "o wo out output outproj toout proj projection dense",
    "mlp": "mlp ff ffn feed feedforward fc mlps",
    "gate": "gate gated",
    "up": "up",
    "down": "down",
    "norm": "norm ln layernorm rmsnorm rms layernorms norms normalization groupnorm",
    "mod": "mod modulation modulations modulate ada adaln adalayernorm table shift",
    "time": "time timestep timesteps t sigma times",
    "guidance": "guidance guide g cfg",
    "pooled": "vector vec pooled pool pooler",
    "label": "label labels class classes",
    "patch": "patch patchify patches",
    "embed": "embedder embedding embeddings embed emb embedders in input",
    "final": "final last head outlet unpatchify",
    "refiner": "refiner refine refiners",
    "position": "pos position positional rope freqs",
    "joint": "double joint dual mixed mm",
    "single": "single mono uni",
    "first": "first in up h to",
}
_MEANINGS: dict[str, set[str]] = {}
for _meaning, _words in _VOCABULARY.items():
    for _word in _words.split():
        _MEANINGS.setdefault(_word, set()).add(_meaning)

_EMBEDDERS = ("time", "guidance", "pooled", "label", "text", "image", "patch")


@dataclass(frozen=True)
class Meaning:
    """What the name of a module says.

    Attributes:
        stream: ``image``, ``text``, ``added`` or nothing.
        attention: ``self``, ``cross`` or nothing.
        role: What the module does: ``q k v o qkv kv norm_q norm_k norm mod mlp`` or nothing.
        embedder: Which input it embeds, or nothing.
        final: Whether it belongs to the end of the model.
        words: All words, to compare what the vocabulary lacks.
    """

    stream: str
    attention: str
    role: str
    embedder: str
    final: bool
    words: frozenset[str]


def words(path: str) -> list[str]:
    """The words of a path, lower case, numbers as words of their own.

    >>> words("double_blocks.img_attn.norm.queryNorm2.adaLN_mod")
    ['double', 'blocks', 'img', 'attn', 'norm', 'query', 'norm', '2', 'ada', 'ln', 'mod']
    """
    found = re.findall(r"[tT]5(?![0-9])|[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", path.replace("adaLN", "ada_LN"))
    return [part for word in found for part in _separated(word.lower())]


def _separated(word: str) -> list[str]:
    """`yproj` is two words; a word that is known is one."""
    if word not in _MEANINGS and word[:1] in ("x", "y", "q", "k", "v", "t") and word[1:] in _MEANINGS:
        return [word[0], word[1:]]
    return [word]


def meaning(path: str, kind: str = "", parent: str = "") -> Meaning:
    """What a module's path says; for a module of diffusers, its class and that of the module around it say more.

    Args:
        path: The path below the block, without the last word (``weight``).
        kind: The class of the module.
        parent: The class of the module around it.
    """
    parts = [part for part in path.split(".") if not part.isdecimal()]
    found = [_meanings(part) for part in parts]
    everything = set().union(*found) if found else set()
    all_words = words(path)
    stream = _innermost(found, ("image", "text", "added"))
    if "added" in everything:
        stream = "added"
    attention = _innermost(found, ("self", "cross"))
    joined = "_".join(parts)
    if not attention and re.search(r"attn1|attention1", joined):
        attention = "self"
    if not attention and re.search(r"attn2|attention2", joined):
        attention = "cross"
    # A linear layer inside of a norm predicts its scale and shift.
    modulated = "Norm" in parent and kind == "Linear"
    return Meaning(
        stream,
        attention,
        "mod" if modulated else _role(found, everything),
        _innermost(found, _EMBEDDERS) if "attention" not in everything else "",
        "final" in everything or re.search(r"(norm|proj)_out$", joined) is not None or "norm_out" in joined,
        frozenset(all_words),
    )


def _meanings(part: str) -> set[str]:
    """What one part of a path stands for; `to_q` and `query_key_value` are looked at as a whole, too."""
    separate = words(part)
    whole = "".join(word for word in separate if not word.isdecimal())
    found = set(_MEANINGS.get(whole, ()))
    for word in separate:
        found |= _MEANINGS.get(word, set())
    if {"q", "k", "v"} <= found:
        found = (found - {"q", "k", "v"}) | {"qkv"}
    elif {"k", "v"} <= found:
        found = (found - {"k", "v"}) | {"kv"}
    return found


def _innermost(found: list[set[str]], options: Iterable[str]) -> str:
    """The option that the innermost part names which names any; where it names several, nothing."""
    for meanings in reversed(found):
        named = [one for one in options if one in meanings]
        if len(named) == 1:
            return named[0]
        if named:
            return named[0]
    return ""


def _role(found: list[set[str]], everything: set[str]) -> str:
    last = [meanings for meanings in found if meanings] or [set()]
    inner = last[-1]
    if "norm" in everything:
        for one in ("q", "k"):
            if one in inner or any(one in meanings and "norm" in meanings for meanings in found):
                return f"norm_{one}"
    for one in ("qkv", "kv", "q", "k", "v"):
        if one in inner:
            return one
    if "mod" in everything:
        return "mod"
    if "norm" in inner:
        return "norm"
    if "mlp" in everything:
        return "mlp"
    if "o" in inner and "attention" in everything:
        return "o"
    for one in ("qkv", "kv", "q", "k", "v"):
        if any(one in meanings for meanings in found[-2:]):
            return one
    return "norm" if "norm" in everything else ""


#: How well a stream of the target goes with one of the source. Unmarked layers of diffusers are those of the image, and
#: what it calls added is marked in most references, in whatever way.
_STREAMS = {
    ("", ""): 0.5,
    ("", "image"): 0.3,
    ("", "text"): -0.6,
    ("added", "text"): 0.6,
    ("added", "image"): 0.1,
    ("added", ""): -0.5,
    ("text", "text"): 0.6,
    ("text", "image"): -0.7,
    ("text", ""): -0.2,
    ("image", "image"): 0.6,
    ("image", "text"): -0.7,
    ("image", ""): 0.0,
}


def likeness(target: Meaning, source: Meaning) -> float:
    """How well two modules go together by their names: about 0 where they say nothing, above 0 where they agree."""
    score = _STREAMS.get((target.stream, source.stream), 0.0)
    if not source.words or all(word.isdecimal() for word in source.words):
        score = 0.0
    if target.attention and source.attention:
        score += 0.6 if target.attention == source.attention else -0.8
    elif target.attention == "cross" or source.attention == "cross":
        score -= 0.3
    if target.role and source.role:
        score += 1.0 if target.role == source.role else -0.7
    elif target.role or source.role:
        score -= 0.1
    if target.embedder and source.embedder:
        same = target.embedder == source.embedder
        near = {target.embedder, source.embedder} in ({"text", "pooled"}, {"image", "patch"}, {"text", "label"})
        score += 0.8 if same else 0.2 if near else -0.8
    if target.final or source.final:
        score += 0.6 if target.final and source.final else -0.6
    both = target.words | source.words
    if both:
        score += 0.6 * len(target.words & source.words) / len(both)
    return score
