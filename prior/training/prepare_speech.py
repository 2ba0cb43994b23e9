"""`redub prior prepare --speech`: footage to a speech corpus; an interrupted run goes on.

A clip's sound stays where it is; beside the corpus' list lie the tracks. How late a sound is, is
measured against the speech model in use, and believed where it is sure.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import torch

from core.errors import InputError, ToolkitError
from core.progress import Step
from face3d.morphable import default_model
from face3d.tracker import track_clip
from media.audio import load_audio
from media.clip import Clip
from prior.motion.alignment import measured_lag
from prior.motion.expression import load_driver
from prior.training.prepare import Source
from prior.training.speech_corpus import TRAIN, SpeechExample, load_examples, save_examples

FEWEST_SECONDS = 1.0
"""Of a face that is tracked, for a clip to teach anything."""


def prepare_speech(sources: list[Source], folder: Path) -> Iterator[Step]:
    """Track every source and list it in `folder`/corpus.json, which is written after each.

    What cannot be used (no sound, no face, unreadable) is left out, named in the step's job and in
    the list. Examples are of the manifest's split; without one all are trained on.
    Raises InputError where the folder holds another kind of corpus, or nothing can be used.
    """
    begin, listed = monotonic(), folder / "corpus.json"
    examples, left_out = _listed(listed)
    for number, source in enumerate(sources, start=1):
        job = f"prepare {source.key}"
        if source.key not in examples and source.key not in left_out:
            try:
                examples[source.key] = spoken(source, folder / "tracks" / f"{source.key}.track")
            except (ToolkitError, torch.linalg.LinAlgError) as error:  # pyright: ignore
                left_out[source.key] = str(error)
                job = f"left out {source.key}: {error}"
            save_examples(listed, list(examples.values()), left_out)
        yield Step(job, number, len(sources), monotonic() - begin)
    if not examples:
        raise InputError(
            f"None of the {len(sources)} clips shows a face that speaks; {listed} says why of each."
        )


def spoken(source: Source, kept: Path) -> SpeechExample:
    """Track one source into `kept`. Raises InputError for a clip that teaches no speech."""
    clip = Clip.open(source.path)
    if not clip.has_audio:
        raise InputError(f"{source.path.name} has no sound; speech is learned from both.")
    model = default_model()
    track = track_clip(clip, range(len(clip)), model)
    seconds = int(track.valid.sum()) / float(clip.fps)
    if seconds < FEWEST_SECONDS:
        raise InputError(
            f"{source.path.name} shows a face for {seconds:.1f} s; {FEWEST_SECONDS:g} s are needed."
        )
    lag = measured_lag(load_audio(clip.path), track, load_driver(), model)
    track.save(kept, {"source": source.path.name})
    return SpeechExample(
        source.path, kept, source.person, lag.believed, source.split or TRAIN, source.rights
    )


def _listed(path: Path) -> tuple[dict[str, SpeechExample], dict[str, str]]:
    """What a run before this one has done, by the clips' keys."""
    if not path.exists():
        return {}, {}
    document = json.loads(path.read_text())
    if document.get("kind") != "speech-corpus":
        raise InputError(
            f"{path.parent} holds a corpus of pictures; give a speech corpus a folder of its own."
        )
    left_out = document.get("left_out", {})
    examples = load_examples(path) if document["examples"] else []
    return {e.track.stem: e for e in examples if e.track.exists()}, left_out
