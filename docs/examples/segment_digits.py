"""Which pixels belong to which digit: a small Data2Vec-vision that comes with the library, over a line of handwriting.

    python docs/examples/segment_digits.py
    python docs/examples/segment_digits.py photo.jpg --checkpoint a-segmenter --overlay out.png

The classes are drawn over the picture in colours that people with every kind of vision can tell apart, with a legend
(docs/images/segmentation.png).
"""

from __future__ import annotations

import argparse
from pathlib import Path

from multimodal import hub, tasks
from multimodal.tasks import drawing


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", nargs="?", type=Path, default=hub.EMBEDDED / "digit-segments" / "images" / "02.png")
    parser.add_argument("--checkpoint", default="digit-segments")
    parser.add_argument("--backend", choices=["pt", "tf", "flax"])
    parser.add_argument("--overlay", type=Path, default=Path("docs/images/segmentation.png"))
    options = parser.parse_args()
    (found,) = tasks.segmentation(options.checkpoint, [options.picture], backend=options.backend)
    for index, label in found.labels.items():
        print(f"{label}: {100 * found.shares[index]:.1f} % of {found.mask.shape[1]} x {found.mask.shape[0]} pixels")
    drawing.overlay(options.picture, found).save(options.overlay, optimize=True)


if __name__ == "__main__":
    main()
