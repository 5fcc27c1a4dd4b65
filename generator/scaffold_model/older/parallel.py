"""A transformer for a checkout without context parallelism."""

from __future__ import annotations

import libcst as cst
import libcst.matchers as m

_NAMES = m.Name("_cp_plan") | m.Name("_parallel_config")


def without_context_parallel(text: str) -> str:
    """A module whose models have no `_cp_plan` and whose processors no `_parallel_config`."""
    return cst.parse_module(text).visit(_Parallel()).code


class _Parallel(m.MatcherDecoratableTransformer):
    @m.leave(m.SimpleStatementLine(body=[m.Assign(targets=[m.AssignTarget(_NAMES)])]))
    def _assignment(
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> cst.RemovalSentinel:
        return cst.RemoveFromParent()

    @m.leave(m.SimpleStatementLine(body=[m.ImportFrom(module=m.Name("_modeling_parallel"))]))
    def _import(
        self, original_node: cst.SimpleStatementLine, updated_node: cst.SimpleStatementLine
    ) -> cst.RemovalSentinel:
        return cst.RemoveFromParent()

    @m.leave(m.Call(func=m.Name("dispatch_attention_fn")))
    def _dispatch(self, original_node: cst.Call, updated_node: cst.Call) -> cst.Call:
        arguments: list[cst.Arg] = []
        for argument in updated_node.args:
            if not m.matches(argument, m.Arg(keyword=m.Name("parallel_config"))):
                arguments.append(argument)
            elif arguments:
                # The comment above an argument belongs to the comma before it.
                arguments[-1] = arguments[-1].with_changes(comma=argument.comma)
        return updated_node.with_changes(args=arguments)
