"""Tiny tokenizers for the tests: real files that transformers loads, made of nothing but the text below.

Every function returns ``{file name: text}``. No library is needed to write them, and the same input gives the same
bytes, which no trainer with threads promises.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import Any

_CORPUS = """
a painting of a squirrel eating a burger . a photo of an astronaut riding a horse on mars . a cat holding a sign that
says hello world . a red car on the street in the rain . a robot in a green meadow under a blue sky . bad quality , a
different prompt , very long very long . dance monkey . low quality , blurry , distorted image . a small house by the
lake at night , in the style of an old master
"""

#: Size of the vocabulary of the dummy text encoders in the house tests: no token id may reach it.
T5_VOCAB_SIZE = 1103
CLIP_VOCAB_SIZE = 1000
QWEN_VOCAB_SIZE = 1000

Files = dict[str, str]


def t5_files(max_length: int = 512) -> Files:
    """A Unigram tokenizer with T5's special ids (0 pad, 1 end, 2 unknown) and its 100 extra ids, which come last.

    transformers 5 rebuilds the normalizer and the splitter of `T5Tokenizer` itself and takes the vocabulary from this
    file; transformers 4 takes the whole file. Both must see the same thing.
    """
    words = Counter(_CORPUS.split())
    # The more frequent a word, the better its score. A single character scores so badly that it is only taken where no
    # word fits, and every printable one is there, so that nothing in an ordinary prompt is unknown.
    pieces = [("▁" + word, -4.0 - rank / 100) for rank, (word, _) in enumerate(words.most_common())]
    known = {piece for piece, _ in pieces}
    characters = [character for character in ["▁", *map(chr, range(33, 127))] if character not in known]
    pieces += [(character, -12.0) for character in characters]
    extra = [f"<extra_id_{index}>" for index in range(100)]
    specials = ["<pad>", "</s>", "<unk>"]
    vocabulary = [(token, 0.0) for token in specials] + pieces + [(token, 0.0) for token in reversed(extra)]
    ids = {token: index for index, (token, _) in enumerate(vocabulary)}
    metaspace = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
    end = {"SpecialToken": {"id": "</s>", "type_id": 0}}
    first, second = ({"Sequence": {"id": name, "type_id": 0}} for name in "AB")
    tokenizer = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": ids[token], "content": token, "single_word": False, "lstrip": False, "rstrip": False}
            | {"normalized": False, "special": True}
            for token in sorted((*specials, *extra), key=ids.__getitem__)
        ],
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, metaspace]},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [first, end],
            "pair": [first, end, second, end],
            "special_tokens": {"</s>": {"id": "</s>", "ids": [ids["</s>"]], "tokens": ["</s>"]}},
        },
        "decoder": metaspace,
        "model": {"type": "Unigram", "unk_id": ids["<unk>"], "vocab": vocabulary, "byte_fallback": False},
    }
    special_tokens = {"eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    return {
        "config.json": _json({"model_type": "t5", "vocab_size": T5_VOCAB_SIZE}),
        "tokenizer.json": _json(tokenizer),
        "tokenizer_config.json": _json(
            {"tokenizer_class": "T5Tokenizer", "model_max_length": max_length, "extra_ids": len(extra)}
            | {"additional_special_tokens": extra}
            | special_tokens
        ),
        "special_tokens_map.json": _json(special_tokens),
    }


def clip_files(max_length: int = 77) -> Files:
    """A byte-level BPE tokenizer whose words end in ``</w>``, with the ids of the dummy CLIP configurations: 0 start,
    1 a padding token that nothing uses, 2 end, which also pads."""
    letters = list(_byte_letters().values())
    vocabulary = ["<|startoftext|>", "<|pad|>", "<|endoftext|>", *letters, *(letter + "</w>" for letter in letters)]
    merges = _merges([[*word[:-1], word[-1] + "</w>"] for word in _CORPUS.split()], count=200)
    special_tokens = {"bos_token": "<|startoftext|>"} | dict.fromkeys(
        ("eos_token", "unk_token", "pad_token"), "<|endoftext|>"
    )
    return {
        "config.json": _json({"model_type": "clip"}),
        **_bpe_files(vocabulary, merges),
        "tokenizer_config.json": _json(
            {"tokenizer_class": "CLIPTokenizer", "model_max_length": max_length, "do_lower_case": True}
            | special_tokens
        ),
        "special_tokens_map.json": _json(special_tokens),
    }


#: The layout of a conversation, as Qwen's models read it: one block a message, then the start of the answer.
_CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'text' %}{{ part['text'] }}{% else %}<|vision_start|><|image_pad|><|vision_end|>{% endif %}"
    "{% endfor %}{% endif %}{{ '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
    "{% if enable_thinking is defined and enable_thinking is false %}{{ '<think>\n\n</think>\n\n' }}{% endif %}{% endif %}"
)


def qwen2_files(max_length: int = 32768) -> Files:
    """A byte-level BPE tokenizer with the special tokens and the chat template that Qwen's pipelines use."""
    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>"]
    specials += ["<|image_pad|>", "<|video_pad|>", "<think>", "</think>"]
    letters = _byte_letters()
    words = _CORPUS.split()
    # The space before a word belongs to the word, as its byte letter.
    merges = _merges([list(letters[ord(" ")] + word) for word in words], count=200)
    return {
        "config.json": _json({"model_type": "qwen2_vl", "architectures": ["Qwen2VLForConditionalGeneration"]}),
        **_bpe_files([*specials, *letters.values()], merges),
        "tokenizer_config.json": _json(
            {"tokenizer_class": "Qwen2Tokenizer", "model_max_length": max_length, "chat_template": _CHAT_TEMPLATE}
            | {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "unk_token": None, "bos_token": None}
            | {"additional_special_tokens": specials[1:], "add_prefix_space": False, "errors": "replace"}
            | {"split_special_tokens": False}
        ),
    }


#: The repositories that house tests take their tokenizer from.
TOKENIZER_REPOS: dict[str, Callable[[], Files]] = {
    "hf-internal-testing/tiny-random-t5": t5_files,
    "hf-internal-testing/tiny-random-clip": clip_files,
    "hf-internal-testing/tiny-random-Qwen2VLForConditionalGeneration": qwen2_files,
}

#: The repository that serves a text encoder, by the answer ``text_encoder``.
REPO_OF_TEXT_ENCODER = dict(zip(("t5", "clip", "qwen3"), TOKENIZER_REPOS, strict=True))


def _byte_letters() -> dict[int, str]:
    """The letter by which byte-level BPE writes each byte: itself where it is printable, else one from 256 on."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in set(printable)]
    letters = {byte: chr(byte) for byte in printable} | {byte: chr(256 + index) for index, byte in enumerate(others)}
    return dict(sorted(letters.items()))


def _merges(words: list[list[str]], count: int) -> list[tuple[str, str]]:
    """Learn BPE: again and again the most frequent pair of neighbours becomes one token; ties go to the smaller pair."""
    learned: list[tuple[str, str]] = []
    for _ in range(count):
        pairs = Counter(pair for word in words for pair in pairwise(word))
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        learned.append(best)
        words = [_merged(word, best) for word in words]
    return learned


def _merged(word: list[str], pair: tuple[str, str]) -> list[str]:
    result: list[str] = []
    for symbol in word:
        if result and (result[-1], symbol) == pair:
            result[-1] += symbol
        else:
            result.append(symbol)
    return result


def _bpe_files(vocabulary: list[str], merges: list[tuple[str, str]]) -> Files:
    tokens = dict.fromkeys([*vocabulary, *(left + right for left, right in merges)])
    return {
        "vocab.json": _json({token: index for index, token in enumerate(tokens)}),
        "merges.txt": "#version: 0.2\n" + "".join(f"{left} {right}\n" for left, right in merges),
    }


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
