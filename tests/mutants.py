"""Writes tests/mutants.json: what is left of the mutants of `make mutants`, and why.

A mutant is the code with one small change, such as a sign turned over. A test should fail on it; a mutant that survives
all tests is either equivalent or shows a test that is missing. The reasons in the file are written by hand, and stay
with the same change to the same function from one run to the next.
"""

import json
import sys
from pathlib import Path

from tests.verification import digest

FILE = Path(__file__).with_suffix(".json")
SURVIVED = ("survived", "no tests")


def results():
    """List (module, mutant, status) of the last run."""
    from mutmut.mutation.data import SourceFileMutationData
    from mutmut.stats import status_by_exit_code
    from mutmut.utils.file_utils import walk_mutatable_files

    for path in sorted(walk_mutatable_files()):
        data = SourceFileMutationData(path=path)
        data.load()
        module = ".".join(path.with_suffix("").parts[1:])
        yield from ((module, mutant, status_by_exit_code[code]) for mutant, code in data.exit_code_by_key.items())


def change(module, mutant):
    """Say which function a mutant changes, and its lines before and after."""
    from mutmut.mutation.diff_apply import get_diff_for_mutant
    from mutmut.utils.format_utils import orig_function_and_class_names_from_key

    function, owner = orig_function_and_class_names_from_key(mutant)
    lines = [line for line in get_diff_for_mutant(mutant).splitlines() if line[:3] not in ("---", "+++")]
    before, after = (" ".join(line[1:].strip() for line in lines if line[:1] == sign) for sign in "-+")
    return {"function": ".".join(filter(None, (module, owner, function))), "before": before, "after": after}


def main():
    """Write the file, keep its reasons, and fail if a mutant survives without one or has not been tried."""
    found = list(results())
    untried = {module for module, _, status in found if status == "not checked"}
    modules, survivors = {}, []
    for module, mutant, status in found:
        if module in untried:
            continue
        count = modules.setdefault(module, {"killed": 0, "total": 0})
        count["killed"] += status not in SURVIVED
        count["total"] += 1
        if status in SURVIVED:
            survivors.append(change(module, mutant))
    old = json.loads(FILE.read_text(encoding="utf-8"))["survivors"] if FILE.exists() else []
    reasons = {(one["function"], one["before"], one["after"]): one["why"] for one in old}
    for module, count in modules.items():
        count["source"] = digest(module)
    for one in survivors:
        one["why"] = reasons.get(tuple(one.values()), "")
    text = json.dumps({"modules": modules, "survivors": survivors}, indent=1, ensure_ascii=False)
    FILE.write_text(text + "\n", encoding="utf-8")
    for one in survivors:
        if not one["why"]:
            print(f"{one['function']}: a mutant survives\n  {one['before']}\n  {one['after']}")
    if not all(one["why"] for one in survivors):
        sys.exit(f"Kill these with a better test, or say in {FILE.name} why that cannot be.")
    if untried:
        sys.exit(f"Left out, since the run is unfinished: {', '.join(sorted(untried))}. Run make mutants again.")


if __name__ == "__main__":
    main()
