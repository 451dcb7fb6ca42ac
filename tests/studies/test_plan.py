"""What is decided before anything is trained: baseline, proxies, warnings."""

from dataclasses import replace

import pytest

from scalesearch.arch.iso_cost import IsoCostSettings
from scalesearch.arch.proxy import ProxySettings
from scalesearch.data.prepare import SourceInfo
from scalesearch.data.settings import DataSettings
from scalesearch.errors import DataError, SpecError
from scalesearch.studies.family_preview import phi_preview
from scalesearch.studies.grid_plan import candidate_rows, plan_grid, plan_proxies, rows_to_csv
from scalesearch.studies.grid_settings import GridSettings
from scalesearch.studies.trainings import trial_recipe
from scalesearch.train.recipe import Recipe

SETTINGS = GridSettings(target_macs=400_000_000, data=DataSettings("synthetic"))
INFO = SourceInfo(
    name="synthetic",
    class_names=tuple(map(str, range(10))),
    n_train=50_000,
    n_val=5_000,
    own_validation=False,
    native_side=64,
    channels=3,
)


def warnings(settings: GridSettings, info: SourceInfo = INFO) -> str:
    return "\n".join(plan_proxies(plan_grid(settings), settings, info)[1].warnings)


def test_a_baseline_near_the_target_is_taken_as_it_is() -> None:
    grid = plan_grid(SETTINGS)
    assert grid.rescaled_from is None
    assert "386M" in grid.sentence()
    far = plan_grid(replace(SETTINGS, target_macs=100_000_000))
    assert far.rescaled_from is not None
    assert "rescaled from 386M to" in far.sentence()
    assert far.plan.baseline_cost.macs == pytest.approx(100e6, rel=0.03)


def test_proxies_take_the_datas_channels_and_classes() -> None:
    _, proxies = plan_proxies(plan_grid(SETTINGS), SETTINGS, replace(INFO, channels=1))
    assert {(net.in_channels, net.num_classes) for net in proxies.of.values()} == {(1, 10)}


def test_enlarged_pictures_and_uneven_proxies_are_said() -> None:
    assert "enlarged" not in warnings(SETTINGS)
    assert "pictures of 28 px are enlarged for proxies of up to 33 px" in warnings(
        SETTINGS, replace(INFO, native_side=28)
    )
    assert "feature maps of a few px round up" in warnings(SETTINGS)


def test_too_few_steps_are_said_with_a_way_out() -> None:
    assert "steps" not in warnings(SETTINGS)
    text = warnings(SETTINGS, replace(INFO, n_train=1_600, n_val=200))
    assert "a training has 5 steps" in text
    assert "proxy.data_fraction=1 proxy.epochs=4 gives 100 or more" in text


def test_candidates_that_share_a_proxy_are_folded_and_said() -> None:
    coarse = replace(
        SETTINGS,
        proxy=ProxySettings(width=0.01, width_divisor=64),
        iso_cost=IsoCostSettings(max_candidates=1000),
    )
    grid, proxies = plan_proxies(plan_grid(coarse), coarse, INFO)
    assert "share a proxy" in "\n".join(proxies.warnings)
    assert len({net.fingerprint for net in proxies.of.values()}) == len(proxies.of) == len(grid.plan.kept)


def test_candidates_without_a_possible_proxy_are_left_out() -> None:
    shrinking = replace(SETTINGS, iso_cost=IsoCostSettings(ratio=0.3, step=0.1, max_candidates=8))
    grid, proxies = plan_proxies(plan_grid(shrinking), shrinking, INFO)
    left_out = [c for c in grid.plan.candidates if c.reason.startswith("cannot be trained")]
    assert left_out
    assert all(not candidate.kept for candidate in left_out)
    assert min(net.resolution for net in proxies.of.values()) >= 16
    hopeless = replace(SETTINGS, proxy=ProxySettings(resolution=4))
    with pytest.raises(SpecError, match=r"raise proxy\.resolution"):
        plan_proxies(plan_grid(hopeless), hopeless, INFO)


@pytest.mark.parametrize(
    ("change", "key"),
    [({"train_images": 8}, "recipe.train_images"), ({"val_images": 8}, "recipe.val_images")],
)
def test_every_class_must_fit_into_a_training_and_its_validation(change: dict[str, int], key: str) -> None:
    settings = replace(SETTINGS, recipe=Recipe(**change))  # type: ignore[arg-type]
    with pytest.raises(DataError, match=rf"each of the 10 classes, got 8.*{key}"):
        plan_proxies(plan_grid(settings), settings, INFO)


def test_the_smaller_part_of_the_pictures_counts() -> None:
    proxy, recipe = SETTINGS.proxy, SETTINGS.recipe
    assert trial_recipe(proxy, recipe, 50_000).train_images == 10_000
    assert trial_recipe(proxy, Recipe(train_images=320), 50_000).train_images == 320
    assert trial_recipe(ProxySettings(epochs=3), recipe, 50_000).epochs == 3


def test_rows_put_the_trained_ones_first() -> None:
    rows = candidate_rows(plan_grid(SETTINGS))
    kept = [row["kept"] for row in rows]
    assert kept == sorted(kept, reverse=True)
    assert rows_to_csv(rows).count("\n") == len(rows) + 1


def test_the_family_preview_ends_where_a_network_can_no_longer_be_written_down() -> None:
    huge = replace(SETTINGS, iso_cost=IsoCostSettings(ratio=100.0, step=10.0))
    grid = plan_grid(huge)
    widest = max(grid.plan.kept, key=lambda candidate: candidate.coefficients.beta)
    rows = phi_preview(grid, widest, huge, phis=range(12))
    assert 2 <= len(rows) < 12
    assert [row["ideal_ratio"] for row in rows[:2]] == [1.0, 100.0]
