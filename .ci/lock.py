"""Print what is installed beside this script's interpreter, as a pip constraints file."""

from __future__ import annotations

from importlib import metadata

OURS = {"agentguard-decorators", "pip", "setuptools", "wheel"}

print("# Every version that `make` installs. Written by `make lock`; do not edit.")
pins = {dist.name.lower(): dist.version for dist in metadata.distributions()}
for name in sorted(pins.keys() - OURS):
    print(f"{name}=={pins[name]}")
