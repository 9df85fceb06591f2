"""The adapter of first steps: small tools that show every way a call can answer. Served when no adapter is named."""

from .adapter import ShowcaseAdapter

__all__ = ["ShowcaseAdapter"]
