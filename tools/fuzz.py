"""A coverage-guided fuzzer of the registry editors: whatever a registry looks like, it is edited right or refused.

    pip install atheris
    python tools/fuzz.py [--runs 100000] [--seconds 0] [--corpus DIR]

Inputs are texts for one registry, grown from the examples of all registries and their mutations: what reaches new lines of
ours is kept and changed further. An input that breaks the promise, or ends in anything but a refusal, stops the run; it
is printed and kept. Linux only, as atheris is.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / part) for part in ("generator", "tests", "tests/registries")]


def main() -> None:
    """Seed the corpus and hand over to atheris, which ends the process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--seconds", type=int, default=0, help="an end by time as well; 0: none")
    parser.add_argument("--corpus", type=Path, help="a folder that keeps what was found; by default nothing is kept")
    options = parser.parse_args()
    try:
        import atheris
    except ImportError:
        raise SystemExit("fuzz: needs atheris, `pip install atheris`") from None

    with atheris.instrument_imports(include=["scaffold_model"]):
        import test_fuzz as fuzz

    names = [*fuzz.NAMES]
    corpus = options.corpus or Path(tempfile.mkdtemp(prefix="scaffold-model-fuzz-"))
    corpus.mkdir(parents=True, exist_ok=True)
    entries = {}
    for number, name in enumerate(names):
        shown = fuzz.example(name)
        entries[name] = fuzz.replaced(shown.entry, path=shown.entry.path or fuzz.SUFFIX.get(name, "x.py"))
        for place, mutation in enumerate([lambda text, _: text, *fuzz.MUTATIONS]):
            seed = bytes([number]) + mutation(shown.before, place).encode()
            (corpus / f"seed-{name}-{place}").write_bytes(seed)

    outcomes: Counter[str] = Counter()

    def one_input(data: bytes) -> None:
        if not data:
            return
        name = names[data[0] % len(names)]
        text = data[1:].decode("utf-8", "replace").replace("\r", "")
        outcomes[fuzz.hold(fuzz.load(name), text, entries[name])] += 1
        if sum(outcomes.values()) % 10_000 == 0:
            print(json.dumps(dict(outcomes)), flush=True)

    def changed(data: bytes, most: int, seed: int) -> bytes:
        """Half of the changes are those of libFuzzer, to bytes; the others keep a text of lines one of lines."""
        chance = random.Random(seed)
        if not data or chance.random() < 0.5:
            return bytes(atheris.Mutate(data, most))
        text = data[1:].decode("utf-8", "replace")
        if chance.random() < 0.5:
            text = chance.choice(fuzz.MUTATIONS)(text, chance.randrange(10_000))
        else:
            lines = text.splitlines(keepends=True) or [""]
            one, other = chance.randrange(len(lines)), chance.randrange(len(lines))
            kind = chance.randrange(4)
            if kind == 0:
                del lines[one]
            elif kind == 1:
                lines.insert(other, lines[one])
            elif kind == 2:
                lines[one], lines[other] = lines[other], lines[one]
            else:
                lines[one] = chance.choice(["    ", "\t", "#", "", "\\"]) + lines[one].lstrip()
            text = "".join(lines)
        return (data[:1] + text.encode())[:most]

    arguments = [sys.argv[0], f"-runs={options.runs}", "-max_len=6000", "-timeout=20", f"-artifact_prefix={corpus}/"]
    if options.seconds:
        arguments.append(f"-max_total_time={options.seconds}")
    atheris.Setup([*arguments, str(corpus)], one_input, custom_mutator=changed)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
