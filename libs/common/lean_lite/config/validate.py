"""The service that grades every bar."""

from lean_lite.config.section import Seconds, Section


class ValidateConfig(Section, frozen=True):
    """Configure validate: an idle lane repeats its head every `head_every_s`."""

    head_every_s: Seconds = 5.0
