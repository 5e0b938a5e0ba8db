"""Grading of bars and quotes: checks and the grader that applies them."""

from lean_lite.quality.checks import RULES_VERSION, Check, failed_checks
from lean_lite.quality.grader import GradedBlock, Grader

__all__ = ["RULES_VERSION", "Check", "GradedBlock", "Grader", "failed_checks"]
