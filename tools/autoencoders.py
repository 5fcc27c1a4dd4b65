"""Every autoencoder class of a checkout, scaffolded with it and verified: a table of what is accepted, and how it fares.

    python tools/autoencoders.py --list              every class, what is read of it, or why it is refused
    python tools/autoencoders.py                     every accepted class, in both formats and with all tasks
    python tools/autoencoders.py --vae AutoencoderDC only these

The cells are those of `tools/matrix.py`: scaffold, register again, verify, remove, in a fresh clone each. A red cell stays.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from matrix import Answers, Runner, commit_of, option_parser

from scaffold_model.autoencoders import autoencoders, find_autoencoder, kind, traits
from scaffold_model.errors import BadInput
from scaffold_model.questions import TASKS
from scaffold_model.snapshot import Snapshot

#: Not below this project, whose pytest settings would hold for the tests of the clones there.
WORK = Path.home() / ".cache" / "scaffold-model" / "autoencoders"


@dataclass(frozen=True)
class Row:
    """One class of the checkout.

    Attributes:
        name: The class.
        modality: What it encodes.
        refusal: Why it can not be named, or nothing.
        statistics: How its latents are normalized.
        decoding: What its ``decode`` takes and returns.
    """

    name: str
    modality: str
    refusal: str = ""
    statistics: str = ""
    decoding: str = ""

    @property
    def cell(self) -> Answers:
        """The answers with which it is scaffolded."""
        return {"format": "both", "modality": self.modality, "task": TASKS[self.modality], "vae": self.name}

    def line(self, result: str) -> str:
        """The class as a row of a table in Markdown."""
        state = f"refused: {self.refusal}" if self.refusal else "accepted"
        return f"| {self.name} | {self.modality} | {state} | {self.statistics} | {self.decoding} | {result} |"


HEAD = "| class | modality | state | statistics | decoding | passed, skipped, failed |\n| --- | --- | --- | --- | --- | --- |"


def rows(snapshot: Snapshot) -> list[Row]:
    """All classes that the checkout exports, in the order of their names."""
    found = []
    for name in sorted(autoencoders(snapshot)):
        modality = kind(find_autoencoder(snapshot, name))
        try:
            read = traits(snapshot, name, modality)
        except BadInput as refusal:
            found.append(Row(name, modality, refusal.message.partition(": ")[2]))
            continue
        found.append(Row(name, modality, "", str(read["vae_statistics"]), str(read["vae_decoding"])))
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; 1 when a class that is accepted does not pass."""
    parser = option_parser(__doc__)
    parser.add_argument("--vae", action="append", help="only this class; repeatable")
    parser.add_argument("--jobs", type=int, default=1, help="cells at a time; each runs two gates at a time")
    options = parser.parse_args(arguments)
    revision = commit_of(parser, options.checkout, "HEAD")
    found = rows(Snapshot(options.checkout))
    unknown = set(options.vae or ()) - {row.name for row in found}
    if unknown:
        parser.error(f"--vae {sorted(unknown)[0]} is no autoencoder of this checkout; --list shows them")
    chosen = [row for row in found if not options.vae or row.name in options.vae]
    print(HEAD)
    if options.list:
        print("\n".join(row.line("") for row in chosen))
        return 0
    shutil.rmtree(WORK, ignore_errors=True)
    WORK.mkdir(parents=True)
    runner = Runner(options.checkout, options.python, revision, WORK)
    red = 0

    def verified(index: int, row: Row) -> str:
        if row.refusal:
            return row.line("")
        report = runner.cell(index, row.cell)
        nonlocal red
        red += bool(report.problems)
        counts = f"{report.passed}, {report.skipped}, {report.failed}"
        return row.line("; ".join([counts, *report.problems]))

    with ThreadPoolExecutor(options.jobs) as pool:
        for line in pool.map(verified, range(len(chosen)), chosen):
            print(line, flush=True)
    return 1 if red else 0


if __name__ == "__main__":
    raise SystemExit(main())
