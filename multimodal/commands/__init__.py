"""The commands of `multimodal`, one file each."""
