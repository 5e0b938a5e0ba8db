"""Run the validate service."""

from lean_lite.service import run
from lean_lite_validate.service import ValidateService

run("validate", ValidateService)
