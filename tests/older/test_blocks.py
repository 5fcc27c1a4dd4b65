from __future__ import annotations

from scaffold_model.older.blocks import without_auto_docstrings, without_workflow_map

TODAY = '''\
class Helper:
    """Stays."""


# auto_docstring
class FooAutoBlocks(SequentialPipelineBlocks):
    """
    Generated.
    """

    # The key of the mapping.
    model_name = "foo"

    _workflow_map = {
        "text2image": {"prompt": True},
    }

    @property
    def description(self):
        return "Blocks."
'''


def test_docstrings_that_nothing_keeps_up_to_date() -> None:
    assert without_auto_docstrings(TODAY) == TODAY.replace(
        '# auto_docstring\nclass FooAutoBlocks(SequentialPipelineBlocks):\n    """\n    Generated.\n    """\n\n',
        "class FooAutoBlocks(SequentialPipelineBlocks):\n",
    )


def test_blocks_that_do_not_name_their_workflows() -> None:
    assert without_workflow_map(TODAY) == TODAY.replace(
        '    _workflow_map = {\n        "text2image": {"prompt": True},\n    }\n\n', ""
    )
