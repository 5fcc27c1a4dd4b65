"""The pages of a model's pipelines, with the badge that says that they load LoRA layers."""

from __future__ import annotations

import re

BADGE = '<img alt="LoRA" src="https://img.shields.io/badge/LoRA-d8b4fe?style=flat"/>'
_BADGES = re.compile(r'^( *)<div class="flex flex-wrap space-x-1">\n', re.MULTILINE)
_HEADING = re.compile(r"^# .+\n", re.MULTILINE)


def with_badge(text: str) -> str:
    """A page with the badge: first among the badges that it has, else below its heading."""
    if 'alt="LoRA"' in text:
        return text
    row = _BADGES.search(text)
    if row:
        return f"{text[: row.end()]}{row[1]}  {BADGE}\n{text[row.end() :]}"
    heading = _HEADING.search(text)
    if heading is None:
        return text
    badges = f'\n<div class="flex flex-wrap space-x-1">\n  {BADGE}\n</div>\n'
    return text[: heading.end()] + badges + text[heading.end() :]
