"""
Repeated measurements: one regime per patient
=============================================

Each patient is seen six times, at six doses of a drug. Some respond to it and some do not, but a
single visit is too noisy to tell. With ``subject`` all visits of a patient belong to one regime,
and are weighed together.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from vega_datasets import local_data

from skmoe import MixtureOfExpertsRegressor
from skmoe.gates import ConstantGate

rng = np.random.default_rng(3)
n_patients, n_visits = 60, 6
responds = rng.uniform(size=n_patients) < 0.4
patient = np.repeat(np.arange(n_patients), n_visits)
dose = np.tile(np.linspace(0, 5, n_visits), n_patients)
effect = np.where(responds[patient], 1.0, 0.1) * dose + 2.0 * rng.normal(
    size=len(patient)
)
X = dose[:, None]

# %%
# The same mixture of two lines with a constant gate, fitted with ``subject`` and, in ``alone``,
# with independent visits.

moe = MixtureOfExpertsRegressor(
    n_experts=2, gate=ConstantGate(), random_state=0
)
together = moe.fit(X, effect, subject=patient)
by_patient = together.responsibilities(X, effect, subject=patient)[::n_visits]
responder = np.argmax([line.coef_[0] for line in together.experts_])
found = by_patient[:, responder]

print(together.coefficients())
print("share of responders:", together.gate_.proportions_[responder].round(2))
print("patients classed rightly:", np.mean((found > 0.5) == responds).round(2))

alone = MixtureOfExpertsRegressor(
    n_experts=2, gate=ConstantGate(), random_state=0
)
alone.fit(X, effect)
steep = np.argmax([line.coef_[0] for line in alone.experts_])
by_visit = alone.responsibilities(X, effect)[:, steep].reshape(
    n_patients, n_visits
)
print(
    "by the mean over visits on their own:",
    np.mean((by_visit.mean(1) > 0.5) == responds).round(2),
)

# %%
# Above, the visits, one line for each patient, solid for responders, and the two experts. Below,
# the estimated probabilities of responding: clear for most patients with ``subject``, ambiguous for
# most visits without it.

figure, (above, below) = plt.subplots(
    2, 1, figsize=(5.6, 7), layout="constrained"
)
for i in range(n_patients):
    rows, is_one = patient == i, found[i] > 0.5
    style = (
        {"color": "C3", "linestyle": "-"}
        if is_one
        else {"color": "C0", "linestyle": ":"}
    )
    above.plot(dose[rows], effect[rows], linewidth=0.8, alpha=0.6, **style)
for k, line in enumerate(together.experts_):
    above.plot(dose[:n_visits], line.predict(X[:n_visits]), "k", linewidth=3)
    end = line.predict([[5.0]])[0]
    above.annotate(
        "responds" if k == responder else "does not",
        (5, end),
        (5.1, end),
        va="center",
    )
above.set(xlabel="dose", ylabel="effect", xlim=(0, 6.6))

bins = np.linspace(0, 1, 21)
below.hist(found, bins, color="C3", alpha=0.6, label="patients, as subjects")
share = np.full(by_visit.size, 1 / n_visits)
below.hist(
    by_visit.ravel(),
    bins,
    weights=share,
    histtype="step",
    color="k",
    linewidth=2,
    label="visits on their own (sixths)",
)
below.set(xlabel="probability of a responder", ylabel="patients")
below.legend(loc="upper center")
plt.show()

# %%
# The same on a real table: yields of ten varieties of barley at six sites of Minnesota in 1931 and
# 1932 (Immer, Hayes and Powers, 1934). With the site as subject the evidence finds two regimes. In
# 1932 yields were lower at five sites, by 9 bushels per acre, and higher at Morris, by 11. From a
# plot of that, Cleveland (1993) concluded that the years of Morris had been swapped.

barley = local_data.barley()
site, harvest = barley["site"], barley["yield"]
table = pd.DataFrame({"in 1932": barley["year"] == 1932, "site": site})
moe = MixtureOfExpertsRegressor(gate=ConstantGate(), random_state=0)
moe.fit(table, harvest, subject=site)
print(moe.coefficients())
resp = moe.responsibilities(table, harvest, subject=site)
print(pd.DataFrame(resp).groupby(site).mean().round(2))
