"""What our tokenizers cost beside the bare `tokenizers` library: 1,000 sentences, in turns, ratio of minima.

    python benchmarks/bench_tokenizers.py [--rounds 15]

Writes `benchmarks/results/<date>-tokenizers.json`: seconds of every round by tokenizer, and `ratio_of_minima`.
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from multimodal import LxmertTokenizer, LxmertTokenizerFast, RobertaTokenizer, RobertaTokenizerFast

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "training"))
import topics

ROOT = Path(__file__).resolve().parents[1]
VOCABULARIES = ROOT / "tests" / "golden" / "processors" / "vocab"
CLASSES = {
    "LxmertTokenizerFast": (LxmertTokenizerFast, "bert"),
    "LxmertTokenizer": (LxmertTokenizer, "bert"),
    "RobertaTokenizerFast": (RobertaTokenizerFast, "roberta"),
    "RobertaTokenizer": (RobertaTokenizer, "roberta"),
}


def sentences(count: int = 1000) -> list[str]:
    """Sentences of Python's documentation."""
    found = [text for part in topics.PARTS for text in topics.load(part).texts]
    return (found * (count // len(found) + 1))[:count]


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def measure(name: str, texts: list[str], rounds: int) -> dict:
    """Seconds of a batch through the tokenizer and through the engine that it stands on."""
    cls, vocabulary = CLASSES[name]
    tokenizer = cls.from_pretrained(VOCABULARIES / vocabulary)
    engine = tokenizer.backend_tokenizer
    ours, bare = lambda: tokenizer(texts), lambda: engine.encode_batch(texts)
    ours()
    bare()
    pairs = [(seconds(ours), seconds(bare)) for _ in range(rounds)]
    found = {"ours": [pair[0] for pair in pairs], "bare": [pair[1] for pair in pairs]}
    return {**found, "ratio_of_minima": min(found["ours"]) / min(found["bare"])}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rounds", type=int, default=15)
    given = arguments.parse_args()
    texts = sentences()
    results = {name: measure(name, texts, given.rounds) for name in CLASSES}
    date = datetime.date.today().isoformat()
    target = ROOT / "benchmarks" / "results" / f"{date}-tokenizers.json"
    document = {"schema": 2, "date": date, "sentences": len(texts), "tokenizers": results}
    target.write_text(json.dumps(document, indent=1) + "\n")
    for name, found in results.items():
        ours, bare = (1000 * min(found[key]) for key in ("ours", "bare"))
        print(f"{name:<24}{ours:>8.1f} ms{bare:>8.1f} ms bare{found['ratio_of_minima']:>8.2f}")
    print(f"written to {target.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
