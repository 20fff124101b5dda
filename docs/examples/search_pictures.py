"""Find pictures by words: a small ALIGN that comes with the library looks for a line of handwritten digits.

    python docs/examples/search_pictures.py "three one four"
    python docs/examples/search_pictures.py "a cat" --folder photos --checkpoint kakaobrain/align-base

Without a folder the pictures beside the embedded checkpoint are searched: lines that people wrote who are not the ones it
learned from. The second time it is faster: what the model saw in the pictures is kept beside the folder, and only those that
are new or changed are looked at. The nearest are put on one sheet (docs/images/search.png).
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from multimodal import hub, tasks
from multimodal.tasks import drawing

PICTURES = hub.EMBEDDED / "digit-search" / "images"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", nargs="?", default="three one four")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--checkpoint", default="digit-search")
    parser.add_argument("--backend", choices=["pt", "tf", "flax"])
    parser.add_argument("--sheet", type=Path, default=Path("docs/images/search.png"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = options.folder
        if folder is None:  # a copy: the index goes beside the folder, and not into the library
            folder = Path(shutil.copytree(PICTURES, Path(name) / "lines"))
        (matches,) = tasks.image_search(
            options.checkpoint, [options.text], folder=folder, top=6, backend=options.backend
        )
        for match in matches:
            print(f"{match.score:.3f} {match.path.name}")
        drawing.contact_sheet(matches, options.text).save(options.sheet, optimize=True)


if __name__ == "__main__":
    main()
