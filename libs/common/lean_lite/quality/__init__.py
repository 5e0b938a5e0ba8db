"""How bars are graded: the rules, what they remember and the grader that applies them."""

from lean_lite.quality.checks import RULES_VERSION, Check, checks_of
from lean_lite.quality.grader import Grade, Grader

__all__ = ["RULES_VERSION", "Check", "Grade", "Grader", "checks_of"]
