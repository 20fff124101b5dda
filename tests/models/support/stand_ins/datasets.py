"""`datasets` without a network: the picture data set that the examples load."""

from requests import photograph


def load_dataset(name, **options):
    """The one data set that there is. Errors: KeyError for any other."""
    return {"huggingface/cats-image": {"test": {"image": [photograph()]}}}[name]
