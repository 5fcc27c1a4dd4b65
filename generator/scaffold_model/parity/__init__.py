"""Weights and parity: the conversion of a reference's checkpoint, and where the numbers of two models part.

What needs torch stands in `running`, which the Python that has torch runs as a subprocess (`launch`); everything else
here reads the result, shows it and writes files.
"""
