"""From YAML files and command lines to frozen settings."""

from scalesearch.config.axes import axes_settings
from scalesearch.config.build import build
from scalesearch.config.compose import compose, conf_dir, data_choice, to_yaml
from scalesearch.config.grid import grid_settings
from scalesearch.config.resume import resumed_values
from scalesearch.config.scale import scale_settings
from scalesearch.config.search import search_settings
from scalesearch.config.train import train_settings

__all__ = [
    "axes_settings",
    "build",
    "compose",
    "conf_dir",
    "data_choice",
    "grid_settings",
    "resumed_values",
    "scale_settings",
    "search_settings",
    "to_yaml",
    "train_settings",
]
