"""Makes the same calls here and in the reference library, and compares results, types and errors.

    python tools/compare_with_reference.py [--only PART] [--show] [--write] [--folder FOLDER [--again]]

Needs `.venv-reference` (`make reference`). The calls are made of our specifications and registry (`tools/differential`);
each library makes them in processes of its own, one for each framework. Every difference has to stand in
`tools/differences.toml` with its reason: one that does not fails the run, and so does a row that covers nothing any more,
or a `docs/differences.md` that is not what `--write` makes. `--only` makes the calls whose identity
(framework/group/subject/call) has PART in it, and `--show` prints their code and both answers. `--folder` keeps the job
there; `--again` compares the answers that it has once more. Exit status 0 only where every difference is reviewed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from differential import review
from differential.comparison import Difference, differences
from differential.job import FRAMEWORKS, Call, Job, calls_of
from differential.models import add_models
from differential.pictures import add_pictures
from differential.settings import add_settings
from differential.texts import add_texts

from multimodal.registry import PREFIXES

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT / ".venv-reference" / "bin" / "python"
CALLER = ROOT / "tools" / "differential" / "caller.py"
REVIEWED, PAGE = ROOT / "tools" / "differences.toml", ROOT / "docs" / "differences.md"
QUIET = {
    "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3", "OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "JAX_PLATFORMS": "cpu",
    "PYTHONHASHSEED": "0",
}  # fmt: skip
ALONE = {
    "pt": {"USE_TORCH": "1"}, "tf": {"USE_TF": "1", "TF_USE_LEGACY_KERAS": "1"},
    "flax": {"USE_JAX": "1", "USE_TF": "0", "USE_TORCH": "0"}, "neutral": {"USE_TORCH": "1"},
}  # fmt: skip
"""What makes the reference import one framework alone."""
LEAST = 1500
"""Calls that a whole run makes at least."""


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--only", default="")
    arguments.add_argument("--show", action="store_true")
    arguments.add_argument("--write", action="store_true")
    arguments.add_argument("--folder", type=Path)
    arguments.add_argument("--again", action="store_true")
    given = arguments.parse_args()
    if not REFERENCE.exists():
        print(f"expected the reference's environment in {REFERENCE.parents[1]}: make reference", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        job_file = folder / "job.json"
        if not given.again:
            folder.mkdir(parents=True, exist_ok=True)
            job_file.write_text(json.dumps(make_job(folder).as_json()), encoding="utf-8")
        calls = calls_of(json.loads(job_file.read_text(encoding="utf-8")))
        chosen = {number: call for number, call in enumerate(calls) if given.only in call.identity}
        frameworks = [f for f in FRAMEWORKS if any(call.framework == f for call in chosen.values())]
        if not given.again:
            for framework in frameworks:
                run(framework, folder, given.only)
        answers = {library: answers_of(library, folder, frameworks) for library in ("multimodal", "transformers")}
    found = [one for number, call in chosen.items() for one in compared(number, call, answers)]
    if given.show:
        for number, call in chosen.items():
            show(number, call, answers)
    return judge(found, list(chosen.values()), whole=not given.only, write=given.write)


def make_job(folder: Path) -> Job:
    """Every call; what models need is written into the folder."""
    question = "import json, transformers; print(json.dumps(dir(transformers)))"
    environment = {**os.environ, **QUIET, **ALONE["pt"]}
    asked = subprocess.run([REFERENCE, "-c", question], env=environment, check=True, capture_output=True, text=True)
    known = json.loads(asked.stdout.splitlines()[-1])
    job = Job()
    add_settings(job)
    add_pictures(job)
    add_texts(job)
    add_models(job, folder, dict.fromkeys(PREFIXES, known))
    return job


def run(framework: str, folder: Path, part: str) -> None:
    """Both libraries at once in one framework. RuntimeError for a process that did not finish."""
    with ThreadPoolExecutor() as threads:
        libraries = ("multimodal", "transformers")
        ours, reference = threads.map(lambda library: ask(library, framework, folder, part), libraries)
    print(f"{framework}: {ours:.0f} s, the reference {reference:.0f} s", flush=True)


def ask(library: str, framework: str, folder: Path, part: str) -> float:
    """Let one library answer in one framework. Gives the seconds that it took."""
    start = time.perf_counter()
    is_ours = library == "multimodal"
    environment = {**os.environ, **QUIET, "PYTHONPATH": str(ROOT) if is_ours else ""}
    environment |= {} if is_ours else ALONE[framework]
    python = sys.executable if is_ours else str(REFERENCE)
    command = [python, str(CALLER), library, framework, str(folder), part]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{library} in {framework} ended with {done.returncode}:\n{done.stderr[-3000:]}")
    return time.perf_counter() - start


def answers_of(library: str, folder: Path, frameworks: list[str]) -> tuple[dict[int, Any], dict[str, np.ndarray]]:
    """({number of a call: answer}, arrays) of one library."""
    answers, arrays = {}, {}
    for framework in frameworks:
        path = folder / f"{library}-{framework}.json"
        answers |= {one["number"]: one for one in json.loads(path.read_text(encoding="utf-8"))}
        with np.load(path.with_suffix(".npz")) as file:
            arrays |= dict(file)
    return answers, arrays


def compared(number: int, call: Call, answers: dict[str, Any]) -> list[Difference]:
    (ours, mine), (reference, theirs) = answers["multimodal"], answers["transformers"]
    return differences(call, ours[number], reference[number], (mine, theirs))


def show(number: int, call: Call, answers: dict[str, Any]) -> None:
    """Print a call's code and both answers."""
    print(f"\n{call.identity}\n{call.code}")
    for library, (given, arrays) in answers.items():
        answer = {name: value for name, value in given[number].items() if name in ("answer", "error")}
        print(f"  {library}: {str(filled(answer, arrays))[:2000]}")


def filled(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    """An answer with its arrays in the place of their names, the large ones by shape and norm."""
    if isinstance(value, dict) and value.keys() == {"array"}:
        array = arrays[value["array"]]
        return (
            array.tolist() if array.size <= 40 else f"{array.dtype} {array.shape} of norm {np.linalg.norm(array):.8g}"
        )
    if isinstance(value, dict):
        return {name: filled(item, arrays) for name, item in value.items()}
    return [filled(item, arrays) for item in value] if isinstance(value, list) else value


def judge(found: list[Difference], calls: list[Call], whole: bool, write: bool) -> int:
    """Print what is not reviewed; the exit status."""
    rows = review.read(REVIEWED)
    open_ones = review.unreviewed(found, rows)
    for one in open_ones:
        print(one)
        print(f"    python tools/compare_with_reference.py --show --only '{one.call.identity}'")
    idle = review.idle(found, rows) if whole else []
    for row in idle:
        print(f"covers nothing any more: {row}")
    counts = Counter((call.framework, call.group) for call in calls)
    print({f"{framework} {group}": number for (framework, group), number in counts.items()})
    print(f"{len(calls)} calls, {len(found)} differences in {len({one.call for one in found})} of them")
    print(f"{len(open_ones)} not reviewed, {len(idle)} rows that cover nothing")
    failed = bool(open_ones or idle)
    if whole:
        text = review.page(found, rows, dict(counts))
        if write:
            PAGE.write_text(text, encoding="utf-8")
        elif not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
            print(f"{PAGE.relative_to(ROOT)} is not what the run gives: --write makes it anew")
            failed = True
        if len(calls) < LEAST:
            print(f"expected at least {LEAST} calls, got {len(calls)}")
            failed = True
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
