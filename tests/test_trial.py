"""The seam engines call: keys, records, failures."""

import sys
from dataclasses import asdict, replace

import pytest

from scalesearch import trial
from scalesearch.arch.cost import cost_of
from scalesearch.arch.spec import NetSpec, StageSpec
from scalesearch.data.prepare import prepare
from scalesearch.data.settings import DataSettings
from scalesearch.errors import SpecError, VerificationError
from scalesearch.train.recipe import Recipe
from scalesearch.trial import TIMING_FIELDS, TrialRecord, TrialRequest, run_group, run_trial

SPEC = NetSpec(
    name="small",
    resolution=12,
    stem_width=8,
    stages=(StageSpec("mbconv", 3, 2, 12, 2, expansion_ratio=3, se_ratio=0.25),),
    head_width=32,
    num_classes=4,
    stem_stride=1,
)
RECIPE = Recipe(batch_size=32, train_images=160, val_images=100)


@pytest.fixture(scope="module")
def request_(tmp_path_factory: pytest.TempPathFactory) -> TrialRequest:
    cache = str(tmp_path_factory.mktemp("cache"))
    data = prepare(DataSettings("synthetic", size=400, classes=4, side=16, val_fraction=0.3, cache_dir=cache), side=16)
    return TrialRequest(SPEC, RECIPE, data, seed=3)


@pytest.fixture(autouse=True)
def _nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "_REFERENCE_MACS", {})


def untimed(record: TrialRecord) -> dict[str, object]:
    return {name: value for name, value in asdict(record).items() if name not in TIMING_FIELDS}


def test_the_key_follows_the_content(request_: TrialRequest) -> None:
    assert request_.key == replace(request_, spec=SPEC.with_(name="another name")).key
    others = [
        replace(request_, spec=SPEC.with_(resolution=13)),
        replace(request_, recipe=replace(RECIPE, epochs=2)),
        replace(request_, data=replace(request_.data, fingerprint="0" * 32)),
        replace(request_, seed=4),
    ]
    assert len({request_.key, *(other.key for other in others)}) == 5


def test_a_record_tells_what_was_trained_and_repeats(request_: TrialRequest) -> None:
    record = run_trial(request_, device="cpu")
    cost = cost_of(SPEC)
    assert (record.status, record.error, record.key) == ("done", None, request_.key)
    assert (record.macs, record.params, record.activations) == (cost.macs, cost.params, cost.activations)
    assert (record.n_train, record.n_val, record.steps, record.epochs) == (160, 100, 5, 1)
    assert (record.seed, record.resolution, record.device) == (3, 12, "cpu")
    assert record.accuracy is not None
    assert 0 <= record.accuracy <= 1
    assert record.seconds is not None
    assert record.train_seconds is not None
    assert 0 < record.train_seconds <= record.seconds
    assert untimed(run_trial(request_, device="cpu")) == untimed(record)


def test_a_group_gives_the_records_of_its_seeds(request_: TrialRequest) -> None:
    requests = [replace(request_, seed=seed) for seed in (3, 0)]
    records = run_group(requests, device="cpu")
    for request, record in zip(requests, records, strict=True):
        alone = run_trial(request, device="cpu")
        assert (record.key, record.seed, record.status) == (alone.key, request.seed, "done")
        assert record.train_loss == pytest.approx(alone.train_loss, rel=1e-3)
        assert record.fvcore_macs == alone.fvcore_macs
        assert record.execution == "grouped 2, step by step (no CUDA graphs on device cpu)"
    one, other = records
    assert one.seconds == other.seconds
    assert one.finished_at == pytest.approx(other.started_at)
    dropping = replace(request_, recipe=replace(RECIPE, dropout=0.1))
    apart = run_group([dropping, replace(dropping, seed=0)], device="cpu")
    assert untimed(apart[0]) == untimed(run_trial(dropping, device="cpu"))
    assert "not grouped: dropout" in str(apart[0].execution)


def test_fvcores_count_stands_beside_ours(request_: TrialRequest) -> None:
    pytest.importorskip("fvcore")
    record = run_trial(request_, device="cpu")
    assert record.fvcore_macs == record.macs


def test_without_fvcore_the_count_is_missing(request_: TrialRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fvcore.nn", None)
    assert run_trial(request_, device="cpu").fvcore_macs is None


def test_a_wrong_closed_form_is_never_ignored(request_: TrialRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("fvcore")
    from scalesearch.measure import verify

    wrong = replace(cost_of(SPEC), macs=1)
    monkeypatch.setattr(verify, "cost_of", lambda spec: wrong)
    with pytest.raises(VerificationError, match="macs"):
        run_trial(request_, device="cpu")


def test_divergence_is_a_result_without_accuracy(request_: TrialRequest) -> None:
    recipe = replace(RECIPE, optimizer="sgd", learning_rate=100, weight_decay=10, epochs=4)
    record = run_trial(replace(request_, recipe=recipe), device="cpu")
    assert record.status == "failed"
    assert record.error is not None
    assert record.error.startswith("diverged at step")
    assert (record.accuracy, record.loss, record.train_loss) == (None, None, None)
    assert record.macs == cost_of(SPEC).macs
    assert record.seconds is not None


def test_other_errors_reach_the_engine(request_: TrialRequest) -> None:
    with pytest.raises(SpecError, match="classes"):
        run_trial(replace(request_, spec=SPEC.with_(num_classes=5)), device="cpu")


def test_reading_records_needs_no_torch() -> None:
    import subprocess

    code = "import scalesearch.trial, sys; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
