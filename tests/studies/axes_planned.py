"""Axes studies over made-up pictures, for the tests beside this file."""

from scalesearch.config import axes_settings, compose
from scalesearch.data.prepare import SourceInfo
from scalesearch.studies.axes_plan import AxesPlan, plan_axes
from scalesearch.studies.axes_proxies import AxesProxies, plan_proxies
from scalesearch.studies.axes_settings import AxesSettings

INFO = SourceInfo("synthetic", tuple(map(str, range(10))), 50_000, 5_000, False, 64, 3)


def settings(*overrides: str) -> AxesSettings:
    return axes_settings(compose("axes", overrides))


def planned(*overrides: str) -> tuple[AxesPlan, AxesProxies]:
    chosen = settings(*overrides)
    return plan_proxies(plan_axes(chosen), chosen, INFO)
