"""Generates the Python stubs and the committed descriptor (an API change is a readable diff).

Run by `make proto`; `make lint` runs it with `--check`, which writes nothing and fails on drift.

The field rules (`buf.validate`) stay in the descriptors as option bytes, but the import of
`buf/validate/validate.proto` is taken out of the Python stubs: a thin client then needs nothing but
grpcio and protobuf, while the daemon's interceptor still reads the rules from the same descriptors.
"""

from __future__ import annotations

import filecmp
import subprocess
import sys
import tempfile
from pathlib import Path

from google.protobuf import text_format
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
STUBS = ROOT / "clients" / "python"
DESCRIPTOR = ROOT / "proto" / "api.txtpb"
RULES = "buf/validate/validate.proto"


def build_image() -> bytes:
    """The contract as a serialized FileDescriptorSet, comments left out."""
    command = ["buf", "build", "proto", "--exclude-source-info", "-o", "-#format=binpb"]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE)
    return done.stdout


def without_rule_import(image: bytes) -> FileDescriptorSet:
    """The image with no file depending on the rules' own descriptors."""
    files = FileDescriptorSet.FromString(image)
    kept = [file for file in files.file if file.name != RULES]
    for file in kept:
        remaining = [name for name in file.dependency if name != RULES]
        del file.dependency[:]
        file.dependency.extend(remaining)
    return FileDescriptorSet(file=kept)


def generate(target: Path) -> None:
    """Writes the stubs below `target` and the descriptor, as text, beside them."""
    image = build_image()
    files = without_rule_import(image)
    (target / DESCRIPTOR.name).write_text(text_format.MessageToString(files))
    ours = [f.name for f in files.file if f.name.startswith("mediaagent/")]
    with tempfile.NamedTemporaryFile(suffix=".binpb") as stripped:
        stripped.write(files.SerializeToString(deterministic=True))
        stripped.flush()
        outputs = [f"--{kind}_out={target}" for kind in ("python", "mypy", "grpc_python", "mypy_grpc")]
        outputs += ["--mypy_opt=quiet", "--mypy_grpc_opt=quiet"]
        code = protoc.main(["protoc", f"--descriptor_set_in={stripped.name}", *outputs, *ours])
    if code != 0:
        raise SystemExit(f"protoc failed with {code}")
    for folder in {(target / name).parent for name in ours}:
        (folder / "__init__.py").write_text('"""Generated stubs; see proto/."""\n')
    (target / "mediaagent" / "hub" / "__init__.py").write_text('"""Generated stubs; see proto/."""\n')


def destination(path: Path, target: Path) -> Path:
    """Where a generated file belongs in the repository."""
    relative = path.relative_to(target)
    return DESCRIPTOR if relative.name == DESCRIPTOR.name else STUBS / relative


def main() -> int:
    """Generates in place, or compares with `--check`."""
    with tempfile.TemporaryDirectory() as scratch:
        target = Path(scratch)
        generate(target)
        written = [path for path in sorted(target.rglob("*")) if path.is_file()]
        pairs = [(path, destination(path, target)) for path in written]
        if "--check" in sys.argv[1:]:
            stale = [str(to) for path, to in pairs if not to.exists() or not filecmp.cmp(path, to, False)]
            print(f"stubs out of date, run `make proto`: {stale}" if stale else "stubs are up to date")
            return 1 if stale else 0
        for path, to in pairs:
            to.parent.mkdir(parents=True, exist_ok=True)
            to.write_bytes(path.read_bytes())
        return 0


if __name__ == "__main__":
    sys.exit(main())
