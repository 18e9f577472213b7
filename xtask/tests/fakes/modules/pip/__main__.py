"""A pip that needs no network: `install --target` makes packages that can be found, and imported, but do nothing.

FAKE_PIP makes it fail in a way of its own: offline, killed, waiting, or other (it installs another version).
"""

import os
import pathlib
import signal
import sys
import sysconfig
import time

fate = os.environ.get("FAKE_PIP")
log = pathlib.Path(os.environ["FAKE_LOG"])
target = pathlib.Path(sys.argv[sys.argv.index("--target") + 1])
requirements = [word for word in sys.argv[sys.argv.index("--target") + 2 :] if not word.startswith("--")]
with open(log / "pip", "a") as calls:
    calls.write(" ".join(requirements) + "\n")

if fate == "offline":
    sys.exit("no network")


def write(path, text=""):
    path = target / path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def write_package(name, version):
    module = {"ipython": "IPython", "pillow": "PIL"}.get(name, name)
    write(f"{module}/__init__.py")
    write(f"{module}/torch.py")
    write(f"{name}-{version}.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


for requirement in requirements:
    name, _, version = requirement.partition("==")
    if name == "torch":
        version = "2.10.0" if fate == "other" else version
        write("torch/lib/libtorch_cpu." + ("dylib" if sys.platform == "darwin" else "so"))
        write("torch/include/torch/csrc/api/include/torch/torch.h")
        write("torch/version.py", f"__version__ = '{version}+cpu'\n")
        if fate == "killed":
            os.kill(os.getppid(), signal.SIGKILL)
            sys.exit(1)
        if fate == "waiting":
            (log / "waiting").touch()
            time.sleep(2)
        write("torch/_C" + sysconfig.get_config_var("EXT_SUFFIX"))
    write_package(name, version or "1.0")
