"""What TrOCR's decoder takes and gives: as BART's."""

from __future__ import annotations

from dataclasses import replace

from multimodal.specs import bart

TrOCRForCausalLM = replace(bart.BartForCausalLM, name="TrOCRForCausalLM", model_type="trocr")
