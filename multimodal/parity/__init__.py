"""The parity harness: run every backend the same way, compare, localise, report."""

from multimodal.parity.run import run

__all__ = ["run"]
