"""What a longer training leaves: weights, spec, summary, and one look at the test part."""

from __future__ import annotations

from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

from scalesearch.arch.cost import cost_of
from scalesearch.arch.spec import NetSpec
from scalesearch.data.prepared import PreparedData
from scalesearch.data.test_part import load_test_part
from scalesearch.errors import MissingPackageError
from scalesearch.nets.build import ImageClassifier
from scalesearch.nets.isolation import isolated, resolve_device
from scalesearch.report.screen import Screen
from scalesearch.store.run_folder import RunFolder
from scalesearch.studies.train_progress import METRICS_FILE, metrics_csv
from scalesearch.studies.train_settings import TrainSettings
from scalesearch.train.checkpoint import BEST, LAST, read_checkpoint
from scalesearch.train.long_run import judge
from scalesearch.train.shard_supply import open_supply
from scalesearch.train.supply import MemorySupply
from scalesearch.train.training_state import EpochRow, judged_net, saved_rows

__all__ = ["write_trained"]

_WEIGHTS = "weights.safetensors"


def write_trained(
    run: RunFolder, settings: TrainSettings, spec: NetSpec, data: PreparedData, checkpoints: Path, screen: Screen
) -> dict[str, Any]:
    """Write every file of a finished training; summary.json last, because it says that the run is finished.

    Returns:
        What summary.json holds.

    Raises:
        InputError: a checkpoint that is broken.
    """
    rows = saved_rows(read_checkpoint(checkpoints / LAST))
    saved = read_checkpoint(checkpoints / (BEST if settings.export == "best" else LAST))
    net = judged_net(saved, spec)
    exported = saved_rows(saved)[-1]
    run.write_text(METRICS_FILE, metrics_csv(rows))
    run.write_text("spec.json", spec.to_json())
    digest = _write_weights(run, net, screen)
    test = _final_look(settings, net, spec, data, exported, screen)
    # what pictures must be normalised with before the exported network sees them
    normalisation = open_supply(data, settings.recipe, spec.resolution).normalisation
    summary = _summary(settings, spec, data, rows, exported, run)
    summary |= {"normalisation": asdict(normalisation), "test": test, "weights_sha256": digest}
    run.write_json("summary.json", summary)
    run.finish()
    return summary


def _write_weights(run: RunFolder, net: ImageClassifier, screen: Screen) -> str | None:
    """The sha256 of the weights; None where safetensors is not installed."""
    from scalesearch.emit.weights import save_weights

    try:
        return save_weights(net, run.path / _WEIGHTS)
    except MissingPackageError as error:
        screen.say(f"note: no {_WEIGHTS}, only checkpoints: {error}")
        return None


def _final_look(
    settings: TrainSettings, net: ImageClassifier, spec: NetSpec, data: PreparedData, row: EpochRow, screen: Screen
) -> dict[str, Any]:
    """Accuracy on the test part; on the validation part, and said so, where there is none."""
    # shards hold no test part
    test = None if settings.stream else load_test_part(settings.data, data, progress=screen.stage)
    if test is None:
        chosen = settings.export == "best"
        note = "no test part at hand: this is the validation part, " + (
            "by which the epoch was chosen, so it flatters" if chosen else "by which nothing was chosen in this run"
        )
        return {
            "part": "validation",
            "accuracy": row.val_accuracy,
            "loss": row.val_loss,
            "pictures": min(settings.recipe.val_images or data.n_val, data.n_val),
            "note": note,
        }
    device = resolve_device(settings.device)
    with isolated(seed=settings.seed, threads=settings.recipe.threads, device=device):
        supply = MemorySupply.load(data, settings.recipe, spec.resolution)
        tested = judge(net.to(device), supply.judging(test.images, test.labels, spec.resolution), device=device)
    return {
        "part": "test",
        "accuracy": tested.accuracy,
        "loss": tested.loss,
        "pictures": len(test.labels),
        "note": "looked at once, after everything was chosen",
    }


def _summary(
    settings: TrainSettings,
    spec: NetSpec,
    data: PreparedData,
    rows: tuple[EpochRow, ...],
    exported: EpochRow,
    run: RunFolder,
) -> dict[str, Any]:
    cost = cost_of(spec)
    best = max(rows, key=lambda row: row.val_accuracy)
    return {
        "verb": run.verb,
        "name": run.name,
        "network": spec.name,
        "fingerprint": spec.fingerprint,
        "macs": cost.macs,
        "params": cost.params,
        "activations": cost.activations,
        "resolution": spec.resolution,
        "data": data.name,
        "data_fingerprint": data.fingerprint,
        "recipe": settings.recipe.fingerprint,
        "seed": settings.seed,
        "workers": settings.workers,
        "epochs": len(rows),
        "n_train": min(settings.recipe.train_images or data.n_train, data.n_train),
        "n_val": min(settings.recipe.val_images or data.n_val, data.n_val),
        "exported": {"which": settings.export, "epoch": exported.epoch, "val_accuracy": exported.val_accuracy},
        "best": {"epoch": best.epoch, "val_accuracy": best.val_accuracy},
        "seconds": sum(row.seconds for row in rows),
        "images_per_second": sum(row.images_per_second for row in rows) / len(rows),
        "versions": {name: metadata.version(name) for name in ("torch", "scalesearch")},
    }
