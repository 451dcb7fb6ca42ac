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
# # The grid of alpha, beta and gamma
#
# Why the nominal constraint is not the real one, and what a finished grid says. Nothing is trained here. The committed
# run is the grid step of `scalesearch run --target-flops 400M --budget-minutes 20` on 2 cores that had other work too
# (Fashion-MNIST, default proxy); six minutes carry two seeds for each candidate, which is too little to name a winner.

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

import scalesearch as ss

HERE = Path("notebooks") if Path("notebooks/results").is_dir() else Path()

# %% [markdown]
# ## Nominal is not realised
#
# The paper's coefficients promise 1.92 times the cost of B0. After rounding they cost this much:

# %%
base = ss.load_spec("efficientnet_b0")
paper = ss.CompoundCoefficients(1.2, 1.1, 1.15)
rows = []
for phi in range(5):
    m = paper.multipliers_at(phi)
    rounded = ss.Rounding(depth="ceil")
    net = ss.scale_net(
        base, depth=m.depth, width=m.width, resolution=round(base.resolution * m.resolution), rounding=rounded
    )
    rows.append({"phi": phi, "nominal": paper.nominal_product**phi, "realised": ss.cost_of(net).macs / 385_814_752})
pd.DataFrame(rows).round(3)

# %% [markdown]
# ## The landscape of a finished grid

# %%
run = ss.load_run(HERE / "results" / "grid" / "first")
print(run.summary["sentence"])
standings = run.frame("standings.csv")
standings[["name", "alpha", "beta", "gamma", "realised_ratio", "accuracy_mean", "p_best", "seeds", "outcome"]]

# %%
figure, axes = plt.subplots(figsize=(6, 4))
shown = standings.dropna(subset=["accuracy_mean"])
points = axes.scatter(shown.alpha, shown.beta, c=100 * shown.accuracy_mean, s=90)
figure.colorbar(points, label="accuracy, %")
axes.set(xlabel="alpha (depth)", ylabel="beta (width)")

# %% [markdown]
# ## Ties are named as ties
#
# The winner and what cannot be told from it:

# %%
print(run.summary["winner"]["name"], [tie["name"] for tie in run.summary["ties"]])
print((run.summary.get("second_opinion") or {}).get("sentence"))
