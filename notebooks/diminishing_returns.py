# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Diminishing returns
#
# Where growing stops paying: first on a published table, then on a run of `scalesearch axes`. Nothing is trained here. The
# committed run is `scalesearch axes curves=imagenette minutes=null`: pictures of 128 px seen at 32 to 128, four epochs, three
# seeds, 51 min 49 s on 2 cores of an AMD EPYC.

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

import scalesearch as ss
from scalesearch.analysis.joint_law import fit_joint_law
from scalesearch.analysis.reference_tables import mobilenet_width_resolution

HERE = Path("notebooks") if Path("notebooks/results").is_dir() else Path()

# %% [markdown]
# ## The published table: MobileNets over width and resolution
#
# log error is nearly linear in log width and log resolution.

# %%
table = mobilenet_width_resolution()
table.head()

# %%
for network, rows in table.groupby("family"):
    law = fit_joint_law(rows)
    exponents = {name: round(estimate.value, 3) for name, estimate in law.terms.items() if name in law.axes}
    print(f"{network}: error ~ {exponents}, R2 {law.r2:.4f}")

# %% [markdown]
# ## A run of one's own

# %%
run = ss.load_run(HERE / "results" / "axes" / "imagenette")
print(run.summary["sentence"])
curves = run.frame("curves.csv")
curves[curves.kept.astype(str).str.lower() == "true"][["curve", "ratio", "macs", "accuracy_mean", "seeds"]]

# %%
figure, axes = plt.subplots(figsize=(6, 4))
for name, rows in curves.dropna(subset=["accuracy_mean"]).groupby("curve"):
    rows = rows.sort_values("macs")
    axes.plot(rows.macs / 1e6, 100 * rows.accuracy_mean, marker="o", label=name)
axes.set(xlabel="multiply-adds, millions", ylabel="accuracy, %", xscale="log")
axes.legend()

# %% [markdown]
# ## Fits, knees and the gain of a doubling: where the data identify them

# %%
fits = run.frame("fits.csv")
fits[["curve", "identified", "why", "trend", "trend_low", "trend_high", "knee_sentence"]]

# %% [markdown]
# ## Compound against each other rule at equal realised cost, on paired seeds

# %%
comparisons = run.frame("comparisons.csv")
with pd.option_context("display.width", 200):
    print(comparisons[["ratio", "curve", "points", "low", "high", "p_corrected", "verdict"]].to_string(index=False))
