"""image.py FILE NAME:TAG PROGRAM: an image with one static program, as `ctr images import` takes it."""

import hashlib
import io
import json
import sys
import tarfile


def member(archive, name, data, mode=0o644):
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), mode
    archive.addfile(info, io.BytesIO(data))


path, name, program = sys.argv[1:]
layer = io.BytesIO()
with tarfile.open(fileobj=layer, mode="w") as archive, open(program, "rb") as file:
    member(archive, "program", file.read(), 0o755)
digest = hashlib.sha256(layer.getvalue()).hexdigest()
config = json.dumps({
    "architecture": "amd64",
    "os": "linux",
    "config": {"Entrypoint": ["/program"], "WorkingDir": "/"},
    "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
}).encode()
config_name = f"{hashlib.sha256(config).hexdigest()}.json"
manifest = [{"Config": config_name, "RepoTags": [name], "Layers": ["layer.tar"]}]
with tarfile.open(path, "w") as archive:
    member(archive, config_name, config)
    member(archive, "layer.tar", layer.getvalue())
    member(archive, "manifest.json", json.dumps(manifest).encode())
