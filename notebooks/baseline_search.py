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
# # What a search found
#
# Reads a finished run of `scalesearch search` through `load_run`; nothing is trained here. The committed results come from
# `scalesearch search --target-flops 400M` on 2 cores in 12 minutes (Fashion-MNIST, default proxy, other work on the machine).

# %%
from pathlib import Path

import matplotlib.pyplot as plt

import scalesearch as ss

HERE = Path("notebooks") if Path("notebooks/results").is_dir() else Path()
run = ss.load_run(HERE / "results" / "search" / "first")
print(run.summary["sentence"])

# %% [markdown]
# ## The networks that no other beats in both accuracy and cost

# %%
run.frame("front.csv")[["name", "macs", "params", "accuracy", "objective"]]

# %%
trials = run.trials
searched = trials[trials.phase == "search"]
figure, axes = plt.subplots(figsize=(6, 4))
axes.scatter(searched.macs / 1e6, 100 * searched.accuracy, label="one training each")
front = run.frame("front.csv")
axes.step(front.macs / 1e6, 100 * front.accuracy, where="post", color="black", label="Pareto front")
axes.set(xlabel="multiply-adds, millions", ylabel="accuracy, %")
axes.legend()

# %% [markdown]
# ## The finals: fresh seeds for the best and for the network the space surrounds
#
# The search's own seed chose the finalists, so it is not used again.

# %%
run.frame("finalists.csv")[["name", "outcome", "macs", "accuracy_mean", "accuracy_low", "accuracy_high", "seeds"]]

# %% [markdown]
# ## The winner, stage by stage, and its cost in closed form

# %%
best = ss.load_spec(run.path / "best.json")
print("\n".join(run.summary["best"]["stages"]))
cost = ss.cost_of(best)
assert cost.macs == run.summary["best"]["fvcore_macs"]
cost
