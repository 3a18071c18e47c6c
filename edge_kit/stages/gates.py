"""The stage ``gates``: whether the shipped files pass, and the report where they do not."""

from __future__ import annotations

from edge_kit.build.stage import StageContext, uses
from edge_kit.stages.report import Subject, render, report_files
from edge_kit.stages.results import Verdict

_WORST = 3
"""How many of the most different images a failed gate names."""


@uses(report_files)
def judge(context: StageContext, about: Subject) -> Verdict:
    """Sum up the verification's gates; where one failed, leave the report too, so that a build can end here."""
    verification = about.verification
    if verification.passed:
        return Verdict((), (), None)
    return Verdict(tuple(verification.failures), verification.furthest(_WORST), render(context, about))
