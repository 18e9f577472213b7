"""Makes state dicts as files have them: numbers of other types, old files with fewer tensors, names with prefixes.

    python state_dicts.py FOLDER

Writes FOLDER/VARIANT.NAME.safetensors. A net loads it strictly, without its prefix, and its state then goes into
FOLDER/VARIANT.NAME.loaded.safetensors; if the net refuses it, there is no such file. torch.save wrote FOLDER/trained.pt and
FOLDER/old.safetensors, which have the state of FOLDER/native.plain.loaded.safetensors.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from norms import BATCH_NORMS
from recipes import lenet_sigmoid

KINDS = (
    torch.float64,
    torch.float16,
    torch.bfloat16,
    torch.float8_e4m3fn,
    torch.float8_e5m2,
    torch.complex64,
    torch.int64,
    torch.int32,
    torch.int16,
    torch.int8,
    torch.uint8,
    torch.bool,
)
PREFIXES = ("module.", "_orig_mod.", "_orig_mod.module.", "module._orig_mod.", "module.module.")
COUNTS = {
    "one": torch.tensor([7]),
    "two": torch.tensor([7, 8]),
    "matrix": torch.tensor([[7]]),
    "int32": torch.tensor(7, dtype=torch.int32),
    "float": torch.tensor(7.9),
    "half": torch.tensor([7.0], dtype=torch.float16),
}


def state_dicts(state: dict[str, Tensor], scale: str) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """The name and the contents of each file. `scale` is the key of a batch norm's scale."""
    yield "plain", state
    for kind in KINDS:
        name = str(kind).removeprefix("torch.")
        yield name, {key: tensor.to(kind) for key, tensor in state.items()}
        yield f"one-{name}", {**state, scale: state[scale].to(kind)}
    for prefix in PREFIXES:
        yield f"prefix.{prefix}", {prefix + key: tensor for key, tensor in state.items()}
    counts = [key for key in state if key.endswith("num_batches_tracked")]
    yield "counts-missing", {key: tensor for key, tensor in state.items() if key not in counts}
    yield "counts-one-missing", {key: tensor for key, tensor in state.items() if key not in counts[:1]}
    for name, count in COUNTS.items():
        yield f"counts-{name}", {**state, "1.num_batches_tracked": count}
    yield "missing", {key: tensor for key, tensor in state.items() if key != scale}
    yield "unexpected", {**state, "more": torch.zeros(1)}
    yield "list", {**state, scale: state[scale].reshape(-1)}
    yield "column", {**state, scale: state[scale][..., None].contiguous()}
    yield "row", {**state, scale: state[scale][None].contiguous()}


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    for variant, norm in BATCH_NORMS.items():
        build = lambda: lenet_sigmoid(norm)  # noqa: E731
        net = build()
        net(torch.rand(4, 1, 28, 28))
        state = net.state_dict()
        # Layer 5 is the second batch norm; the first of its tensors is its scale.
        scale = next(key for key in state if key.startswith("5."))
        for name, values in state_dicts(state, scale):
            file = folder / f"{variant}.{name}.safetensors"
            save_file(values, file)
            if name.startswith("prefix."):
                values = {key.removeprefix(name.removeprefix("prefix.")): tensor for key, tensor in values.items()}
            else:
                values = load_file(file)
            net = build()
            try:
                net.load_state_dict(values, strict=True)
            except RuntimeError:
                continue
            save_file(net.state_dict(), file.with_suffix(".loaded.safetensors"))
    trained = load_file(folder / "native.plain.safetensors")
    torch.save(trained, folder / "trained.pt")
    torch.save(trained, folder / "old.safetensors", _use_new_zipfile_serialization=False)


if __name__ == "__main__":
    main()
