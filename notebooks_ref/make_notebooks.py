"""Executes the notebooks' sources, sources/*.py, and writes *.ipynb.

    python make_notebooks.py            writes the notebooks
    python make_notebooks.py --check    executes the sources again and compares
    python make_notebooks.py --only 001 does either for one notebook

A source is a notebook in jupytext's percent format: it has no outputs, and its changes are easy to read. Two executions
on machines with the same signature and the same matplotlib give the same files.
"""

import argparse
import os
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from traitlets.config import Config

import fashion_mnist

HERE = Path(__file__).parent
SOURCES = HERE / "sources"
# Nothing that depends on the machine: no versions, no paths.
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"file_extension": ".py", "name": "python"},
}


def sources(note: str = "") -> list[Path]:
    """The sources in the order of the notes, or the source of one note."""
    found = sorted(SOURCES.glob(f"{note}*.py"))
    if not found:
        raise SystemExit(f"{SOURCES} has no source that begins with {note}")
    return found


def executed(source: Path, data_dir: Path) -> str:
    """The notebook with its outputs, as JSON."""
    notebook = jupytext.read(source)
    os.environ["FASHION_MNIST_DIR"] = str(data_dir.resolve())
    # Pictures go into the notebook, whatever the user has set.
    os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
    client = NotebookClient(
        notebook,
        timeout=3600,
        coalesce_streams=True,
        record_timing=False,
        resources={"metadata": {"path": str(HERE)}},
        # Sockets in the file system need no network.
        config=Config(KernelManager={"transport": "ipc"}),
    )
    client.execute()
    for number, cell in enumerate(notebook.cells):
        cell.id, cell.metadata = f"cell-{number:02}", {}
        refuse_noise(source, cell)
    notebook.metadata = METADATA
    nbformat.validate(notebook)
    return nbformat.writes(notebook) + "\n"


def refuse_noise(source: Path, cell: nbformat.NotebookNode) -> None:
    """Exits if a cell wrote to standard error. Warnings name files of the machine."""
    for output in cell.get("outputs", []):
        if output.get("name") == "stderr":
            raise SystemExit(f"{source.name}: a cell wrote to standard error:\n{output.text}")


def write(data_dir: Path, note: str = "") -> None:
    """Writes the notebooks."""
    for source in sources(note):
        print(f"executing {source.name}", flush=True)
        (HERE / source.with_suffix(".ipynb").name).write_text(executed(source, data_dir))


def check(data_dir: Path, note: str = "") -> None:
    """Compares. Exits with 1 and the names of the cells that differ, if any do."""
    differing = []
    for source in sources(note):
        print(f"executing {source.name}", flush=True)
        path = HERE / source.with_suffix(".ipynb").name
        there, here = nbformat.reads(executed(source, data_dir), as_version=4), nbformat.read(path, as_version=4)
        pairs = zip(there.cells, here.cells)
        differing += [f"{path.name} {cell.id}" for cell, stored in pairs if cell != stored]
        if len(there.cells) != len(here.cells):
            differing.append(f"{path.name}: {len(here.cells)} cells, not {len(there.cells)}")
    if differing:
        raise SystemExit(f"these come out differently: {', '.join(differing)}\nsee the signature in the first cell")
    print(f"{len(sources(note))} notebooks come out the same")


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    parser.add_argument("--data-dir", type=Path, default=fashion_mnist.DEFAULT_DIR)
    parser.add_argument("--only", default="", metavar="NOTE", help="one note's notebook, by its number")
    arguments = parser.parse_args()
    (check if arguments.check else write)(arguments.data_dir, arguments.only)


if __name__ == "__main__":
    main()
