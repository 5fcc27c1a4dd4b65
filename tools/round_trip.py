"""Every family of diffusers is unregistered and registered again: is everything registered as it was?

    python tools/round_trip.py CHECKOUT [FAMILY ...]     all families, or those that are named

Nothing is written. For every package of pipelines and modular pipelines: the registrations are taken out, `register` is
run on the result, and every registry is read again. Told are the families whose sets differ, with the difference, and
how many of the files that were edited are, byte for byte, what they were before.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from scaffold_model.errors import ScaffoldError
from scaffold_model.registration import register
from scaffold_model.registries.base import ROOT
from scaffold_model.removal import unregister
from scaffold_model.snapshot import Snapshot
from scaffold_model.trials import entries_of


@dataclass
class Trip:
    """What came of one family.

    Attributes:
        family: Its name.
        entries: How many entries were taken out.
        lost: What was listed before and is not any more, ``registry: entry``.
        gained: What was not listed before.
        same: The edited files that are as before, byte for byte.
        changed: The edited files that are not.
        kept: What was not taken out, since it would not come back as it is.
        refused: Why nothing could be done.
    """

    family: str
    entries: int = 0
    lost: list[str] = field(default_factory=list)
    gained: list[str] = field(default_factory=list)
    same: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    refused: str = ""

    @property
    def is_round(self) -> bool:
        """Whether every registry lists what it listed before."""
        return not (self.lost or self.gained or self.refused)


def families(snapshot: Snapshot) -> list[str]:
    """The packages of pipelines and modular pipelines."""
    areas = ("pipelines", "modular_pipelines")
    found = {name for area in areas for name in snapshot.folders(f"{ROOT}/{area}") if name != "__pycache__"}
    return sorted(name for name in found if any(snapshot.files(f"{ROOT}/{area}/{name}") for area in areas))


def round_trip(snapshot: Snapshot, family: str) -> Trip:
    """Unregister a family and register it again, in memory."""
    trip = Trip(family)
    try:
        out = unregister(snapshot, family)
        without = snapshot.overlaid(out.overlay())
        back = register(without)
    except ScaffoldError as error:
        trip.refused = error.line
        return trip
    again = without.overlaid(back.overlay())
    trip.entries = len(out.entries)
    for edit in out.edits:
        (trip.same if again.read(edit.path) == edit.before else trip.changed).append(edit.path)
    before, after = Counter(entries_of(snapshot)), Counter(entries_of(again))
    trip.lost = sorted(map(str, (before - after).elements()))
    trip.gained = sorted(map(str, (after - before).elements()))
    trip.kept = [notice for notice in out.notices if notice.startswith("not taken out: ")]
    return trip


def main(arguments: Sequence[str]) -> int:
    """Every family's trip and the sums; 1 when a set differs."""
    if not arguments:
        raise SystemExit(__doc__)
    snapshot = Snapshot(Path(arguments[0]).resolve())
    trips = []
    for family in arguments[1:] or families(snapshot):
        trip = round_trip(snapshot, family)
        trips.append(trip)
        state = "refused" if trip.refused else "same sets" if trip.is_round else "DIFFERS"
        print(
            f"{family:28} {trip.entries:4} entries  {len(trip.same):2} of {len(trip.same) + len(trip.changed):2} files same  {state}"
        )
        for label in ("lost", "gained", "kept"):
            for line in getattr(trip, label):
                print(f"    {label} {line}")
        if trip.refused:
            print(f"    {trip.refused}")
    same, edited = sum(len(trip.same) for trip in trips), sum(len(trip.same) + len(trip.changed) for trip in trips)
    print(
        f"{sum(trip.is_round for trip in trips)} of {len(trips)} families have their sets back, "
        f"{sum(trip.entries for trip in trips)} entries; {same} of {edited} edited files ({same / max(edited, 1):.0%}) are the same bytes"
    )
    by_file: Counter[str] = Counter(path for trip in trips for path in trip.changed)
    for path, count in by_file.most_common():
        print(f"  {count:3} times another order in {path}")
    return 0 if all(trip.is_round for trip in trips) else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
