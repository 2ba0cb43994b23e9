"""`redub doctor`: what this machine can do, and why not where it cannot."""

import os
import platform
import shutil
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from core.errors import ToolkitError

LIBRARIES = {
    "av": "reads and writes media",
    "cv2": "warps and measures pictures",
    "librosa": "hears speech",
    "mediapipe": "finds faces",
    "numba": "draws meshes fast",
    "PIL": "draws contact sheets",
    "pocketsphinx": "hears phones",
    "safetensors": "keeps weights",
    "scenedetect": "finds cuts",
    "scipy": "solves and filters",
    "soxr": "resamples sound",
    "torch": "renders and learns",
}
"""What redub imports, and what for."""

DISTRIBUTIONS = {"cv2": "opencv-contrib-python", "PIL": "pillow"}

REMEDIES = {
    "libGL": "install the system library libGL.so.1 (Debian: libgl1)",
    "libgthread": "install the system library glib (Debian: libglib2.0-0)",
    "libEGL": "install the system library libEGL.so.1 (Debian: libegl1)",
}

CODECS = (
    "h264",
    "hevc",
    "prores",
    "dnxhd",
    "av1",
    "vp9",
    "ffv1",
    "exr",
    "aac",
    "flac",
    "pcm_s24le",
)
ENCODERS = {"ffv1": ".mkv picture", "flac": ".mkv sound", "libx264": ".mp4, .mov picture",
            "aac": ".mp4, .mov sound"}  # fmt: skip


def examine() -> dict[str, Any]:
    """Everything the doctor tells; `missing` lists what keeps redub from working."""
    libraries = {name: library(name) for name in LIBRARIES}
    found = {
        "redub": version("redub"),
        "python": platform.python_version(),
        "system": platform.platform(),
        "libraries": libraries,
        "missing": [
            f"{name}: {state['reason']}" for name, state in libraries.items() if state["reason"]
        ],
        "memory_mb": memory_mb(),
        "disk_free_mb": round(shutil.disk_usage(Path.cwd()).free / 1e6),
    }
    # Each finding needs its library; what is missing has been said.
    for name, needs, look in (
        ("devices", {"torch"}, devices),
        ("visibility", {"torch"}, visibility),
        ("codecs", {"av"}, codecs),
        ("weights", {"torch", "av", "librosa", "scipy", "soxr", "pocketsphinx"}, weights),
        ("face_models", {"torch", "mediapipe", "scipy", "cv2"}, face_models),
        ("perception", {"torch"}, perception),
        ("exports", {"torch", "mediapipe", "scipy", "cv2"}, exports),
    ):
        if not any(libraries[library]["reason"] for library in needs):
            found[name] = look()
    lost = [f"{n}: {w['state']}" for n, w in found.get("weights", {}).items() if not w["usable"]]
    return found | {"missing": found["missing"] + lost}


def library(name: str) -> dict[str, str | None]:
    """A library's version, and why it cannot be imported if so."""
    try:
        import_module(name)
        reason = None
    except (ImportError, OSError) as error:
        remedy = next((r for mark, r in REMEDIES.items() if mark in str(error)), None)
        reason = f"{error}; {remedy or 'install redub again'}"
    try:
        held = version(DISTRIBUTIONS.get(name, name))
    except PackageNotFoundError:
        held = None
    return {"version": held, "for": LIBRARIES[name], "reason": reason}


def devices() -> dict[str, Any]:
    """Where things are computed: tracking on the CPU, the rest where `--device auto` goes."""
    import torch

    from core.device import CPU, resolve_device

    chosen = resolve_device("auto")
    return {
        "cpu": {"cores": os.cpu_count(), "threads": torch.get_num_threads(), "used": True},
        "cuda": {"used": chosen.torch != CPU, "reason": chosen.reason},
    }


def visibility() -> dict[str, str]:
    """The rasterisers: which is used and why, and why each other one is not."""
    from render.visibility import survey

    return survey()


def codecs() -> dict[str, dict[str, bool]]:
    """What this build of the media library reads and writes."""
    from av.codec import Codec, codecs_available
    from av.codec.codec import UnknownCodecError

    def writes(name: str) -> bool:
        try:
            return bool(Codec(name, "w"))
        except UnknownCodecError:
            return False

    return {
        "reads": {name: name in codecs_available for name in CODECS},
        "writes": {f"{name} ({use})": writes(name) for name, use in ENCODERS.items()},
    }


def weights() -> dict[str, dict[str, Any]]:
    """The weight files in use, whose they are and under which licence."""
    from prior.motion.expression import load_driver
    from prior.motion.generator import load_generator
    from prior.motion.movement import load_movement
    from prior.painting.renderer import default_prior
    from prior.sound.contact_ear import load_contact_ear
    from prior.sound.denoiser import load_denoiser
    from prior.sync.expert import load_expert
    from prior.sync.judge import load_judge
    from prior.weights import own_file

    ours = "Apache-2.0 (made by redub; the footage it saw: redub prior card)"
    found: dict[str, dict[str, Any]] = {}
    full = ("full rendering prior", "renderer_full", lambda: default_prior("full"))
    for name, stem, load in (
        ("rendering prior", "renderer", default_prior),
        *((full,) if own_file("renderer_full.safetensors") else ()),
        ("speech model", "expression", load_driver),
        ("denoiser", "denoiser", load_denoiser),
        ("contact ear", "contact_ear", load_contact_ear),
        ("takes of a line", "generator", load_generator),
        ("sync expert", "sync_expert", load_expert),
        ("sync judge", "sync_judge", load_judge),
        ("movement", "movement", load_movement),
    ):
        try:
            own = own_file(f"{stem}.safetensors")
            load()
            state, licence = ("ships with redub", ours) if own is None else (str(own), "your own")
            found[name] = {"usable": True, "state": state, "licence": licence}
        except (ToolkitError, OSError) as error:
            found[name] = {"usable": False, "state": str(error), "licence": ""}
    found["face model"] = face_model()
    found["face mesh detector"] = {
        "usable": True,
        "state": "ships with mediapipe",
        "licence": "Apache-2.0 (Google)",
    }
    return found


def face_model() -> dict[str, Any]:
    """The face that every track and every network speaks in."""
    from face3d.morphable import default_model

    licence = "Apache-2.0 (learned from the tracker's own landmarks)"
    try:
        default_model()
    except (ToolkitError, OSError) as error:
        return {"usable": False, "state": str(error), "licence": licence}
    return {"usable": True, "state": "ships with redub", "licence": licence}


def face_models() -> dict[str, dict[str, str]]:
    """Faces that `redub track --face-model` can fit by name, and their licences."""
    from face3d.models.shelf import FOLDER, OURS, kept_models, licence_beside, open_face_model

    found = {OURS: {"licence": open_face_model(OURS).facts["licence"], "where": "ships with redub"}}
    for path in kept_models():
        found[path.stem] = {"licence": licence_beside(path), "where": f"{path} ({FOLDER})"}
    return found


def exports() -> dict[str, str]:
    """Formats that `redub track --export` writes, or why not."""
    from face3d.export.take import WRITERS, writer_for

    found = {}
    for ending in WRITERS:
        try:
            writer_for(Path(f"face{ending}"))
            found[ending] = "works"
        except ToolkitError as error:
            found[ending] = str(error)
    return found


def perception() -> dict[str, str]:
    """Networks of the user's that judge pictures, or why there are none."""
    from prior.perception import survey

    return survey()


def memory_mb() -> dict[str, int] | None:
    """Memory of the machine and what is free of it; None where the system does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        fields = {line.split(":")[0]: int(line.split()[1]) for line in lines}
        return {
            "total": round(fields["MemTotal"] * 1024 / 1e6),
            "free": round(fields["MemAvailable"] * 1024 / 1e6),
        }
    except (OSError, KeyError, ValueError):
        return None


def printed(found: Mapping[str, Any]) -> str:
    """The findings for a person."""
    lines = [f"redub {found['redub']} on Python {found['python']}, {found['system']}"]
    lines += _block("devices", found.get("devices", {}))
    lines += _block("rasteriser", found.get("visibility", {}))
    for kind, states in found.get("codecs", {}).items():
        shown = ", ".join(name if ok else f"no {name}" for name, ok in states.items())
        lines += [f"{kind:<12} {shown}"]
    lines += _block("weights", found.get("weights", {}))
    lines += _block("face models", found.get("face_models", {}))
    lines += _block("perception", found.get("perception", {}))
    lines += _block("exports", found.get("exports", {}))
    lines += [
        f"{name:<12} {state['version']}, {state['for']}"
        for name, state in found["libraries"].items()
    ]
    if memory := found["memory_mb"]:
        lines += [f"{'memory':<12} {memory['free']} of {memory['total']} MB free"]
    lines += [f"{'disk':<12} {found['disk_free_mb']} MB free here"]
    lines += [f"MISSING      {text}" for text in found["missing"]] or ["nothing is missing"]
    return "\n".join(lines)


def _block(title: str, entries: Mapping[str, Any]) -> list[str]:
    def told(value: Any) -> str:
        if not isinstance(value, Mapping):
            return str(value)
        return ", ".join(f"{key} {part}" for key, part in value.items())

    return [f"{title:<12} {name}: {told(value)}" for name, value in entries.items()]
