"""Checks that every twin named in README.md's table and in the notebooks exists in the repository.

    python twins.py

Names stand in backticks: `d2l_ch7 COMMAND --option`, `d2l_ch7::module::item` and items of the crates in `crates/`, `src/...rs`,
`tests/...rs::function`, `NAME.py`; or as example `NAME`. Every code cell of a notebook must have a line `> **Rust:** ...` above it, and every
section that the table names must be a heading of the notebook. The script needs only Python.
"""

import re
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
SOURCES = HERE / "sources"
# The words that may follow these names on the command line are strings in that file, as in `name: "book"`.
LISTED = {"--recipe": "experiments/recipes.rs", "shapes": "experiments/networks.rs"}


def text(path: Path) -> str:
    """The text of a file; empty if the file does not exist."""
    return path.read_text() if path.is_file() else ""


# The crates that names begin with, and their sources.
CRATES = {"d2l_ch7": ROOT / "src"} | {
    folder.name.replace("-", "_"): folder / "src" for folder in sorted((ROOT / "crates").iterdir())
}


def defines(source: str, name: str) -> bool:
    """Whether Rust source defines an item of that name."""
    return re.search(rf"\b(fn|struct|enum|trait|const|static|type|mod)\s+{re.escape(name)}\b", source) is not None


def missing_command(words: list[str]) -> str | None:
    """What of `d2l_ch7 WORDS` the command line does not have."""
    command = words[0] if words and not words[0].startswith("--") else "compare"
    if not re.search(rf"^    {command.capitalize()}\b", text(ROOT / "src/cli/mod.rs"), re.MULTILINE):
        return f"the command {command}"
    commands = ROOT / "src/experiments"
    files = [commands / f"{command}.rs", *sorted((commands / command).rglob("*.rs")), commands / "options.rs"]
    arguments = "".join(map(text, [*files, ROOT / "src/train/numerics.rs"]))
    for word, following in zip(words, [*words[1:], ""]):
        option = word.removeprefix("--").replace("-", "_")
        if word.startswith("--") and not re.search(rf"^    pub {option}s?:", arguments, re.MULTILINE):
            return f"the option {word}"
        listed = LISTED.get(word)
        if listed and following and f'"{following}"' not in text(ROOT / "src" / listed):
            return f"{word} {following}"
    return None


def missing_item(crate: str, path: list[str]) -> str | None:
    """The Rust path `CRATE::PATH`, if the crate does not define it."""
    for split in range(len(path), -1, -1):
        module = CRATES[crate] / Path(*path[:split])
        files = [module.with_suffix(".rs"), *sorted(module.rglob("*.rs"))]
        source = "".join(map(text, files))
        if source:
            return None if all(defines(source, name) for name in path[split:]) else "::".join(path)
    return "::".join(path)


def missing_file(name: str) -> str | None:
    """The file or function of `FILE` or `FILE::function` that does not exist, if any."""
    path, _, function = name.partition("::")
    source = text((HERE if path.endswith((".py", ".ipynb")) else ROOT) / path)
    if not source:
        return path
    return None if not function or defines(source, function) else name


def missing(name: str, word_before: str) -> str | None:
    """The part of a name in backticks that does not exist; None if it exists, or if it is not a name."""
    crate, *path = name.split("::")
    if crate in CRATES and path:
        return missing_item(crate, path)
    if name.startswith("d2l_ch7 "):
        return missing_command(name.split()[1:])
    if re.fullmatch(r"[\w/-]+\.(rs|py)(::\w+)?", name):
        return missing_file(name)
    if word_before == "example":
        return missing_file(f"examples/{name}.rs")
    return None


def names_in(line: str) -> list[tuple[str, str]]:
    """The names in backticks, each with the word before it."""
    return [(name, before) for before, name in re.findall(r"(\w*)\s*`([^`]+)`", line)]


def cells(source: Path) -> list[tuple[bool, str]]:
    """The cells of a source: whether each is Markdown, and its text, for Markdown without comment signs."""
    found = []
    for part in re.split(r"^# %%", source.read_text(), flags=re.MULTILINE)[1:]:
        head, _, body = part.partition("\n")
        markdown = "[markdown]" in head
        found.append((markdown, re.sub(r"^# ?", "", body, flags=re.MULTILINE) if markdown else body))
    return found


def check_notebook(source: Path) -> list[str]:
    """The problems of a notebook's source: missing twins, and names that do not exist."""
    problems = []
    twins = ""
    for markdown, body in cells(source):
        if not markdown:
            if not twins:
                problems.append(f"{source.name}: no twin above the cell that begins {body.strip().splitlines()[0]!r}")
            twins = ""
            continue
        quoted = " ".join(line.removeprefix("> ") for line in body.splitlines() if line.startswith(">"))
        twins = quoted if quoted.startswith("**Rust:**") else ""
        # Names in parentheses with "to come" need not exist yet.
        for name, before in names_in(re.sub(r"\([^)]*to come[^)]*\)", "", twins)):
            if absent := missing(name, before):
                problems.append(f"{source.name}: {absent}")
    return problems


def headings(note: str) -> set[str]:
    """The headings of a note's notebook."""
    found: set[str] = set()
    for source in SOURCES.glob(f"{note}*.py"):
        for markdown, body in cells(source):
            if markdown:
                found.update(re.findall(r"^#+ (.+)$", body, re.MULTILINE))
    return found


def check_table() -> list[str]:
    """The problems of the README's table: names and sections that do not exist."""
    problems = []
    note = ""
    for line in text(HERE / "README.md").splitlines():
        if heading := re.fullmatch(r"### Note(?:book)? (\d+)\b.*", line):
            note = heading[1]
        row = [cell.strip() for cell in line.strip("|").split(" | ")]
        if not note or not line.startswith("|") or row[0] == "cell" or set(line) <= set("|- "):
            continue
        if len(row) != 4:
            problems.append(f"README.md, note {note}: not four columns: {line}")
            continue
        _, section, twin, test = row
        if section not in headings(note) and section != "none":
            problems.append(f"README.md, note {note}: section {section!r}")
        if "not ported yet" in twin:
            continue
        for name, before in names_in(twin) + names_in(test):
            if absent := missing(name, before):
                problems.append(f"README.md, note {note}: {absent}")
    if not note:
        problems.append("README.md: no table of twins")
    return problems


def check() -> None:
    """Exits with 1 and the list of problems, if there are any."""
    problems = check_table()
    for source in sorted(SOURCES.glob("*.py")):
        problems += check_notebook(source)
    if problems:
        raise SystemExit("named, and not there:\n" + "\n".join(f"  {problem}" for problem in dict.fromkeys(problems)))
    print("every twin that is named exists")


if __name__ == "__main__":
    check()
