"""TrOCR's decoder as a causal language model: Li et al. (2021), section 2.1; the network and the call are BART's."""

from __future__ import annotations

from multimodal.pt.models.bart import BartForCausalLM
from multimodal.specs import trocr as specs


class TrOCRForCausalLM(BartForCausalLM):
    """The decoder alone, which attends to what it is given."""

    spec = specs.TrOCRForCausalLM
