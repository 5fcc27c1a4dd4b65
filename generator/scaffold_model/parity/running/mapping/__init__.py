"""The mapping of a checkpoint's tensors to a model's parameters.

`names` and `evidence` propose from names, shapes and structure; `probe` and `settle` decide by running both sides. Both
give `pieces.Choice`, one for each target, from which `rules` makes what the conversion script says.
"""
