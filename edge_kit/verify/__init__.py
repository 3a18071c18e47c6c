"""Metrics, gates and the HTML report.

In: tensors, boxes and texts of two engines. Out: numbers with verdicts.
"""
