"""A class of sound in whose training SpecAugment and layer drop draw, and the settings that make them."""

CTC = "Data2VecAudioForCTC"
DRAWS = {
    "apply_spec_augment": True,
    "mask_time_prob": 0.4,
    "mask_time_length": 3,
    "layerdrop": 0.3,
    "initializer_range": 0.3,
}
