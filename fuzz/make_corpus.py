"""Writes the first inputs of every fuzz target to corpus/TARGET/: sound files of every kind that the readers know, and
files whose headers promise more than the files contain. Inputs in these folders that fuzzing found are not changed.

    python fuzz/make_corpus.py

It needs jpegtran (Debian's package libjpeg-turbo-progs), since Pillow writes no arithmetic coding.
"""

import gzip
import hashlib
import io
import json
import struct
import subprocess
import zlib
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.numpy import save
from safetensors.torch import save as save_torch

CORPUS = Path(__file__).parent / "corpus"
# The version of checkpoints.
VERSION = 2
NOISE = np.random.default_rng(0)


def write(target, name, content):
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)


def idx():
    labels = struct.pack(">II", 0x801, 4) + bytes(range(4))
    images = struct.pack(">IIII", 0x803, 2, 3, 5) + bytes(range(30))
    for kind, content in [("labels", labels), ("images", images)]:
        write("idx", f"sound-{kind}", content)
        write("idx", f"sound-{kind}.gz", gzip.compress(content, mtime=0))
    halves = [gzip.compress(part, mtime=0) for part in (images[:10], images[10:])]
    write("idx", "sound-two-members.gz", b"".join(halves))
    padded = gzip.compress(images, mtime=0) + bytes(512)
    write("idx", "sound-padded.gz", padded)
    write("idx", "sound-padded-members.gz", bytes(3).join(halves))
    write("idx", "refused-garbage.gz", padded + b"garbage")
    write("idx", "refused-huge", struct.pack(">IIII", 0x803, 2**32 - 1, 2**32 - 1, 2**32 - 1) + images)
    write("idx", "refused-a-gigabyte", struct.pack(">IIII", 0x803, 2**20, 2**5, 2**5) + images)
    write("idx", "refused-cut.gz", gzip.compress(images, mtime=0)[:-9])


def cifar10():
    records = [bytes([label]) + NOISE.bytes(3072) for label in (0, 9)]
    write("cifar10", "sound-one", records[0])
    write("cifar10", "sound-two", b"".join(records))
    write("cifar10", "refused-label", bytes([10]) + records[0][1:])
    write("cifar10", "refused-cut", records[0] + records[1][:-1])


def safetensors():
    kinds = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64"]
    tensors = {kind: NOISE.integers(0, 2, (2, 3)).astype(kind) for kind in kinds}
    write("safetensors", "sound-kinds", save(tensors))
    write("safetensors", "sound-shapes", save({"scalar": np.array(1, np.float32), "none": np.zeros((0, 3))}))
    write("safetensors", "sound-nothing", save({}))

    def forged(header, content=b""):
        header = json.dumps(header).encode()
        return struct.pack("<Q", len(header)) + header + content

    tensor = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    torch.manual_seed(0)
    state = dict(torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2)).state_dict())
    write("safetensors", "sound-state", save_torch(state))
    for kind in (torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2, torch.complex64, torch.bool):
        cast = {f"module._orig_mod.{name}": tensor.to(kind) for name, tensor in state.items()}
        write("safetensors", f"sound-state-{str(kind).removeprefix('torch.')}", save_torch(cast))

    write("safetensors", "refused-huge", forged({"a": {**tensor, "shape": [2**62], "data_offsets": [0, 2**64 - 1]}}))
    write("safetensors", "refused-negative", forged({"a": {**tensor, "shape": [0, 2**63], "data_offsets": [0, 0]}}))
    write("safetensors", "refused-overlap", forged({"a": tensor, "b": tensor}, bytes(8)))
    write("safetensors", "refused-kind", forged({"a": {**tensor, "dtype": "U64", "shape": [1]}}, bytes(8)))
    write("safetensors", "refused-longer", forged({"a": tensor}, bytes(9)))
    write("safetensors", "refused-torch-save", b"PK\x03\x04" + bytes(26) + b"archive/data.pkl")
    write("safetensors", "refused-header", struct.pack("<Q", 2**63) + b"{}")


def checkpoint():
    columns = ["variant", "epoch", "train_loss", "train_acc", "test_loss", "test_acc"]
    columns += ["train_seconds", "epoch_seconds", "examples_per_second", "peak_memory_bytes"]
    metrics = ",".join(columns) + "\n"
    row = "native,1,0.5,0.75,0.5,0.75,1.0,1.5,100.0,\n"
    within = {"batches": 3, "batch_size": 8, "metric": [0, 0, 0], "metrics": [[0, 0, 0]] * 2, "took": {"secs": 1, "nanos": 5}}
    generator = torch.get_rng_state().numpy()
    for name, state in [
        ("sound-between", {"records": metrics + row, "within": None}),
        ("sound-within", {"records": metrics, "within": within}),
        ("sound-forever", {"records": metrics, "within": {**within, "batches": 2**64 - 1}}),
    ]:
        state = json.dumps({"version": VERSION, "state": state}).encode()
        write("checkpoint", name, state + b"\0" + generator.tobytes())
        write("checkpoint", name + ".safetensors", sealed(state, generator))
        write("checkpoint", name.replace("sound", "refused") + "-generator", state + b"\0" + generator.tobytes()[:-8])
    write("checkpoint", "refused-version", b'{"version": 1, "state": null}\0' + generator.tobytes())
    write("checkpoint", "refused-deep", b'{"version": 2, "state": ' + b"[" * 5000)


def sealed(state, generator):
    """A checkpoint with a correct SHA-256."""
    tensors = {name: generator for name in ("generators.cpu", "generators_within.cpu")}
    tensors["state"] = np.frombuffer(state, np.uint8)
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name}\nUint8 [{tensor.size}]\n".encode() + tensor.tobytes())
    return save({**tensors, "sha256": np.frombuffer(digest.digest(), np.uint8)})


def image():
    rgb = Image.fromarray(NOISE.integers(0, 256, (9, 7, 3)).astype(np.uint8))

    def encoded(picture, kind, **options):
        file = io.BytesIO()
        picture.save(file, kind, **options)
        return file.getvalue()

    for mode in ["RGB", "RGBA", "L", "LA", "P", "1"]:
        write("image", f"sound-{mode}.png", encoded(rgb.convert(mode), "PNG"))
    write("image", "sound-I16.png", encoded(Image.fromarray(NOISE.integers(0, 2**16, (9, 7)).astype(np.uint16)), "PNG"))
    for mode in ["RGB", "L", "CMYK"]:
        write("image", f"sound-{mode}.jpg", encoded(rgb.convert(mode), "JPEG"))
        write("image", f"sound-{mode}-progressive.jpg", encoded(rgb.convert(mode), "JPEG", progressive=True))
    for kind, options in [("", []), ("-progressive", ["-progressive"])]:
        huffman = (CORPUS / "image" / f"sound-RGB{kind}.jpg").read_bytes()
        command = ["jpegtran", "-arithmetic", *options]
        write("image", f"sound-RGB-arithmetic{kind}.jpg", subprocess.run(command, input=huffman, stdout=subprocess.PIPE, check=True).stdout)
    jpeg = encoded(rgb, "JPEG")
    frame = jpeg.index(b"\xff\xc0")
    write("image", "refused-huge.jpg", jpeg[: frame + 5] + b"\xff" * 4 + jpeg[frame + 9 :])
    write("image", "refused-cut.jpg", jpeg[: len(jpeg) // 2])
    damaged_pngs()


def damaged_pngs():
    """Files whose headers promise too much, and damaged files that Pillow reads or refuses."""

    def chunk(kind, content, damage=0):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content) ^ damage)

    def png(name, *chunks, size=(7, 9), depth=8, color=3, interlaced=0):
        header = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, depth, color, 0, 0, interlaced))
        write("image", name, b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks))

    end, text = chunk(b"IEND", b""), (b"tEXt", b"key\0value")
    few = chunk(b"IDAT", zlib.compress(bytes(100)))
    png("refused-huge.png", few, end, size=(2**31 - 1, 2**31 - 1), depth=16, color=6)
    png("refused-nearly-huge.png", few, end, size=(9459, 9459), depth=16, color=6)
    rows = b"".join(bytes([filter % 5]) + NOISE.bytes(7) for filter in range(9))
    data = zlib.compress(rows)
    idat, palette = chunk(b"IDAT", data), chunk(b"PLTE", NOISE.bytes(3 * 256))
    png("sound-palette-too-short.png", chunk(b"PLTE", bytes(range(40))), idat, end)
    png("sound-data-checksum.png", palette, chunk(b"IDAT", data, 1), end)
    png("sound-late-checksum.png", palette, idat, chunk(*text, 1), end)
    png("sound-no-end.png", palette, idat)
    png("sound-rows-missing.png", palette, chunk(b"IDAT", zlib.compress(rows[:32])), end)
    png("sound-interlaced.png", palette, chunk(b"IDAT", zlib.compress(bytes(100))), end, depth=4, interlaced=1)
    png("refused-palette-too-long.png", chunk(b"PLTE", bytes(3 * 257)), idat, end)
    png("refused-early-checksum.png", palette, chunk(*text, 1), idat, end)
    png("refused-zlib-checksum.png", palette, chunk(b"IDAT", data[:-1] + bytes([data[-1] ^ 1])), end)


if __name__ == "__main__":
    for target in (idx, cifar10, safetensors, checkpoint, image):
        target()
