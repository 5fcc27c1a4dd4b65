"""Modular blocks for a checkout that neither generates their docstrings nor names their workflows."""

from __future__ import annotations

import libcst as cst
import libcst.matchers as m

from .nodes import unspaced

_MARK = "# auto_docstring"


def without_auto_docstrings(text: str) -> str:
    """A module whose marked classes have neither the mark nor the docstring that would be generated there.

    Where nothing keeps it up to date, such a docstring would soon be wrong; `description`, `inputs` and `outputs` say the same.
    """
    return cst.parse_module(text).visit(_Docstrings()).code


def without_workflow_map(text: str) -> str:
    """A module whose blocks do not name their workflows: which blocks run then follows from the inputs alone."""
    return cst.parse_module(text).visit(_Workflows()).code


class _Docstrings(cst.CSTTransformer):
    def leave_ClassDef(self, original_node: cst.ClassDef, updated_node: cst.ClassDef) -> cst.ClassDef:
        kept = [line for line in updated_node.leading_lines if not (line.comment and line.comment.value == _MARK)]
        if len(kept) == len(updated_node.leading_lines):
            return updated_node
        statements = [*updated_node.body.body]
        if original_node.get_docstring() is not None and len(statements) > 1:
            statements = [unspaced(statements[1]), *statements[2:]]
        body = updated_node.body.with_changes(body=statements)
        return updated_node.with_changes(leading_lines=kept, body=body)


class _Workflows(m.MatcherDecoratableTransformer):
    @m.leave(
        m.SimpleStatementLine(body=[m.Assign(targets=[m.AssignTarget(m.Name("_workflow_map"))])])
        | m.SimpleStatementLine(body=[m.AnnAssign(target=m.Name("_workflow_map"))])
    )
    def _workflow_map(
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> cst.RemovalSentinel:
        return cst.RemoveFromParent()
