"""From YAML files and command lines to frozen settings."""

from scalesearch.config.build import build
from scalesearch.config.compose import compose, conf_dir, data_choice, to_yaml
from scalesearch.config.grid import grid_settings
from scalesearch.config.resume import resumed_values

__all__ = ["build", "compose", "conf_dir", "data_choice", "grid_settings", "resumed_values", "to_yaml"]
