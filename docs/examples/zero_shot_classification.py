"""What a picture shows, among labels that nobody trained for: a small ALIGN that comes with the library.

    python docs/examples/zero_shot_classification.py
    python docs/examples/zero_shot_classification.py photo.jpg --labels "a cat" "a dog" --template "an image of {}" \\
        --checkpoint kakaobrain/align-base

The embedded model knows one thing: rows of three to six handwritten digits, in words. The labels below are the same digits in
other orders; none of the rows was in its training. What it says of anything else means nothing.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from multimodal import hub, tasks

LABELS = ["three one two four", "four two three one", "two three four one", "one three four two"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", nargs="?", type=Path, default=hub.EMBEDDED / "digit-search" / "images" / "03.png")
    parser.add_argument("--labels", nargs="+", default=LABELS)
    parser.add_argument("--template", default="{}")
    parser.add_argument("--checkpoint", default="digit-search")
    parser.add_argument("--backend", choices=["pt", "tf", "flax"])
    options = parser.parse_args()
    (ranked,) = tasks.zero_shot_classification(
        options.checkpoint,
        [options.picture],
        labels=options.labels,
        template=options.template,
        backend=options.backend,
    )
    for entry in ranked:
        print(f"{entry.score:.3f} {entry.label}")


if __name__ == "__main__":
    main()
