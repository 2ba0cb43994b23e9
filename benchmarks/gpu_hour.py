"""Everything an hour on a borrowed GPU needs: pack here, run there, bring back a few small files.

    python benchmarks/gpu_hour.py pack --corpus CORPUS --test CORPUS -o BUNDLE [--megabytes 48]
    python benchmarks/gpu_hour.py run --bundle BUNDLE -o OUT [--minutes 9] [--batch 16]

`pack` takes windows of both corpora, evenly thinned until they fit, as lossy WebP. `run` trains a
prior on the bundle's people, adapts to each clip of its test people with that prior and without
one, in equal time, on the clip's first seconds, and measures the seconds after them. It needs
torch, numba, OpenCV, safetensors and jaxtyping, neither decoder nor detector nor network. OUT gets
`renderer.safetensors` (`renderer_full.safetensors`, of corpora of the full size), `curves.jsonl`,
`grid.png`, `figures.json` and `sheet.png`; the checkpoint stays in --work, and a run started again
goes on from there.
"""

import argparse
import importlib.util
import json
import shutil
import sys
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from time import monotonic

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

CONNECTIONS = Path("mediapipe/python/solutions/face_mesh_connections.py")
"""The detector's list of edges, which our topology is read from: all that training needs of it."""

FIT_SECONDS = 4.0
TEST_SECONDS = 4.0


def pack(corpus: Path, test: Path, output: Path, megabytes: float, quality: int) -> None:
    """Write a bundle folder and say how large it is and what the coding costs."""
    from prior.training.shards import Index

    wanted = [sum(e.windows for s in Index.load(folder).shards for e in s.samples)
              for folder in (corpus, test)]  # fmt: skip
    test_bytes, _ = repacked(test, output / "test", 1.0, quality)
    a_window = test_bytes / wanted[1]
    room = megabytes * 2**20 - test_bytes - 2**18
    share = min(1.0, room / a_window / wanted[0])
    train_bytes, psnr = repacked(corpus, output / "train", share, quality)
    while test_bytes + train_bytes > megabytes * 2**20 - 2**17:
        share *= 0.97 * room / train_bytes
        train_bytes, psnr = repacked(corpus, output / "train", share, quality)
    found = importlib.util.find_spec("mediapipe")
    assert found is not None
    assert found.origin is not None
    site = output / "site" / CONNECTIONS
    site.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(Path(found.origin).parent.parent / CONNECTIONS, site)
    for folder in site.relative_to(output / "site").parents:
        if folder != Path("."):
            (output / "site" / folder / "__init__.py").touch()
    total = sum(path.stat().st_size for path in output.rglob("*") if path.is_file())
    print(f"{output}: {total / 2**20:.1f} MiB, {share:.0%} of {wanted[0]} windows, {psnr:.1f} dB")


def repacked(corpus: Path, output: Path, share: float, quality: int) -> tuple[int, float]:
    """A corpus with fewer windows, in one lossy shard; its bytes and its pictures' PSNR."""
    from prior.training.corpus import decode_sample, encode_sample
    from prior.training.shards import Index, ShardWriter
    from prior.training.stream import Library

    library = Library(corpus)
    writer = ShardWriter(output, "shard-00000.tar")
    error = []
    for key, (_, entry) in library.index.samples().items():
        sample = library.read(key)
        count = max(2, round(share * entry.windows))
        pick = np.unique(np.linspace(0, entry.windows - 1, count).round().astype(int))
        fewer = sample[pick.tolist()]
        silent = type(fewer)(fewer.windows, None, fewer.about)
        files = encode_sample(silent, quality)
        writer.add(key, entry.clip, len(pick), files)
        coded = decode_sample(files).windows.images[:1].float()
        error.append(float((coded - fewer.windows.images[:1]).square().mean()))
    shard = writer.close()
    Index(quality, library.index.clips, [shard], {}, library.index.size).save(output)
    return shard.bytes, 10 * float(np.log10(255**2 / np.mean(error)))


def run(
    bundle: Path, output: Path, work: Path, minutes: float, batch: int, device: str, adapt: float
) -> None:
    """Train, evaluate, and leave what is worth bringing back in `output`."""
    sys.path.append(str(bundle / "site"))  # last: an installed detector is preferred
    from core.device import resolve_device
    from core.progress import Console
    from prior.painting.renderer import RendererPrior, stem_of, untrained
    from prior.training.curves import Curves
    from prior.training.ranks import Ranks
    from prior.training.shards import Index
    from prior.training.train_renderer import Grid, RendererTraining, train_renderer
    from render.deferred import RENDERERS

    chosen, reporter = resolve_device(device), Console()
    reporter.say(f"device {chosen.torch}: {chosen.reason}")
    size = Index.load(bundle / "train").size
    weights = f"{stem_of(size)}.safetensors"
    config = RendererTraining(seconds=60 * minutes, batch=batch, renderer=RENDERERS[size])
    curves, begin, steps = Curves(work), monotonic(), 0
    for event in train_renderer(bundle / "train", work, config, Ranks(0, 1, chosen.torch)):
        curves.add(event)
        if not isinstance(event, Grid):
            reporter.step(event)
            steps += 1
    curves.close()
    output.mkdir(parents=True, exist_ok=True)
    for name in (weights, "curves.jsonl", "grid.png"):
        if (work / name).exists():
            shutil.copy(work / name, output / name)
    trained = RendererPrior.load(work / weights)
    seconds = monotonic() - begin
    figures: dict = {
        "device": f"{chosen.torch} ({chosen.reason})",
        "training": {"steps_now": steps, "seconds_now": round(seconds, 1), "batch": batch,
                     "steps": trained.about["steps"]},
        "adapt_seconds": adapt, "fit_seconds": FIT_SECONDS, "clips": {},
    }  # fmt: skip
    priors = {"prior": trained, "no_prior": untrained(0, size)}
    rows = []
    for key, sample in test_samples(bundle / "test"):
        scores, row = judged(sample, priors, chosen.torch, adapt, work)
        figures["clips"][key] = scores
        rows.append(row)
        (output / "figures.json").write_text(json.dumps(figures, indent=2) + "\n")
        reporter.say(f"{key}: " + ", ".join(f"{n} {s['psnr']:.2f} dB" for n, s in scores.items()))
    if rows:
        save_sheet(output / "sheet.png", rows)


def test_samples(folder: Path):
    """The first stretch of every test clip."""
    from prior.training.stream import Library

    library = Library(folder)
    for key in sorted(library.places):
        if key.endswith("-000"):
            yield key, library.read(key)


def judged(sample, priors, device: torch.device, seconds: float, work: Path):
    """Scores of an actor learned from each prior in equal time, and a row of pictures: truth, then
    each system's. An eighth of the first seconds decides which state is kept; the frames that are
    scored come after them."""
    from adapt.personalise import Personalising, held_out_conditions, personalise
    from adapt.split import split_frames
    from core.progress import Step
    from evaluate.metrics.picture import score_pictures
    from face3d.morphable import default_model
    from prior.training.train_renderer import training_clip
    from render.deferred import DeferredRenderer
    from render.neural_texture import NeuralTexture

    model, fps = default_model(), float(Fraction(sample.about["fps"]))
    frame = sample.windows.frame.numpy() - int(sample.windows.frame[0])
    early = np.flatnonzero(frame < FIT_SECONDS * fps)
    late = np.flatnonzero(
        (frame >= FIT_SECONDS * fps + 5) & (frame < (FIT_SECONDS + TEST_SECONDS) * fps)
    )
    split = split_frames(early, FIT_SECONDS)
    fit, keep, test = (
        training_clip(sample[pick.tolist()].windows, model, "test")
        for pick in (split.fit, split.held_out, late)
    )
    chooses = held_out_conditions(fit, keep, model)
    seen, true = held_out_conditions(fit, test, model, limit=40)
    scores, pictures = {}, [coded(true)]
    for name, prior in priors.items():
        folder = work / "adapt"
        shutil.rmtree(folder, ignore_errors=True)
        schedule = Personalising(seconds=seconds, network_rate=4e-4 if name == "prior" else 5e-4)
        *steps, learned = personalise(
            fit, chooses, model, prior, schedule, folder / "checkpoint.safetensors", device
        )
        assert not isinstance(learned, Step)
        network = DeferredRenderer(prior.config)
        network.load_state_dict(learned.weights)
        with torch.inference_mode():
            made = seen.render(network, NeuralTexture(learned.texture))
            made = torch.where(seen.outer > 0, made, true)  # what a dub would leave
        pictures.append(coded(made))
        outer = seen.outer[:, 0].numpy() > 0
        lower = asdict(score_pictures(pictures[-1], pictures[0], outer))
        mouth = asdict(score_pictures(pictures[-1], pictures[0], seen.mouth.numpy()))
        scores[name] = {**lower, "mouth": mouth, "steps": len(steps), "frames": len(true)}
    return scores, np.concatenate([p[len(p) // 2] for p in pictures], 1)


def coded(picture: torch.Tensor) -> np.ndarray:
    scaled = ((picture.clamp(-1, 1) + 1) * 127.5).round()
    return scaled.byte().permute(0, 2, 3, 1).numpy()


def save_sheet(path: Path, rows: list[np.ndarray]) -> None:
    import cv2

    path.write_bytes(cv2.imencode(".png", np.concatenate(rows)[..., ::-1])[1].tobytes())


def main() -> None:
    parser = argparse.ArgumentParser(description="Everything an hour on a borrowed GPU needs.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    packing = verbs.add_parser("pack")
    packing.add_argument("--corpus", type=Path, required=True)
    packing.add_argument("--test", type=Path, required=True)
    packing.add_argument("-o", "--output", type=Path, required=True)
    packing.add_argument("--megabytes", type=float, default=48.0)
    packing.add_argument("--quality", type=int, default=95)
    running = verbs.add_parser("run")
    running.add_argument("--bundle", type=Path, required=True)
    running.add_argument("-o", "--output", type=Path, required=True)
    running.add_argument("--work", type=Path, default=Path("/tmp/redub-gpu-hour"))
    running.add_argument("--minutes", type=float, default=9.0)
    running.add_argument("--batch", type=int, default=16)
    running.add_argument("--device", default="auto")
    running.add_argument("--adapt", type=float, default=20.0, help="seconds a test actor may take")
    options = vars(parser.parse_args())
    {"pack": pack, "run": run}[options.pop("verb")](**options)


if __name__ == "__main__":
    main()
