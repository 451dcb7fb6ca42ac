"""Strategies by name; nothing is imported before it is asked for."""

from __future__ import annotations

import importlib
import inspect
from typing import Any, Final

from scalesearch.errors import UnknownNameError
from scalesearch.search.problem import Problem
from scalesearch.search.strategy import Strategy

__all__ = ["STRATEGIES", "describe_strategy", "make_strategy", "strategy_options"]

# name: (module, class, one line for people)
_KNOWN: Final = {
    "surrogate": (
        "surrogate",
        "SurrogateStrategy",
        "a regression on the encoding predicts accuracy; trains what it thinks best",
    ),
    "evolution": (
        "evolution",
        "RegularisedEvolution",
        "regularised evolution: mutated children of good young networks (Real et al. 2019)",
    ),
    "tpe": ("optuna_tpe", "OptunaTPE", "Optuna's tree-structured Parzen estimator, multivariate"),
    "nsga2": ("optuna_nsga2", "OptunaNSGA2", "Optuna's NSGA-II on accuracy and cost instead of the objective"),
    "gp": ("optuna_gp", "OptunaGP", "Optuna's Gaussian process; few trainings, seconds of computing for each"),
    "policy_gradient": (
        "policy_gradient",
        "PolicyGradient",
        "MnasNet's controller, one categorical distribution per choice, trained by PPO",
    ),
    "random": ("random_search", "RandomSearch", "random networks within the budget; what the others have to beat"),
}

STRATEGIES: Final = tuple(_KNOWN)


def describe_strategy(name: str) -> str:
    """One line for people.

    Raises:
        UnknownNameError: no strategy of that name.
    """
    return _entry(name)[2]


def strategy_options(name: str) -> dict[str, Any]:
    """The options of a strategy with their defaults.

    Raises:
        UnknownNameError: no strategy of that name.
    """
    parameters = inspect.signature(_load(name)).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}


def make_strategy(name: str, problem: Problem, seed: int = 0, **options: Any) -> Strategy:
    """A strategy that was asked nothing yet.

    Raises:
        UnknownNameError: no strategy of that name, or an option it does not have.
        ConfigError: an option out of range.
    """
    strategy, known = _load(name), strategy_options(name)
    for option in options:
        if option not in known:
            raise UnknownNameError.of(f"option of strategy {name}", option, known)
    made = strategy(problem, seed, **options)
    assert isinstance(made, Strategy), name
    return made


def _entry(name: str) -> tuple[str, str, str]:
    if name not in _KNOWN:
        raise UnknownNameError.of("strategy", name, STRATEGIES)
    return _KNOWN[name]


def _load(name: str) -> Any:
    module, cls, _ = _entry(name)
    return getattr(importlib.import_module(f"scalesearch.search.{module}"), cls)
