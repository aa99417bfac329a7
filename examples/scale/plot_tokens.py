"""
Sparse routing of characters
============================

A sparse mixture sends each row to 2 of 16 small neural networks, as the sparse layers of large
language models do. The task is to predict the next character of real text. Two dense networks are
fitted for comparison: one as large as the two experts that answer, and one as large as all
sixteen.
"""

import time
import warnings
from collections import Counter
from pydoc_data.topics import topics

import matplotlib.pyplot as plt
import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import TruncatedSVD
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from threadpoolctl import threadpool_limits

from skmoe import MixtureOfExpertsClassifier
from skmoe.gates import SoftmaxGate

# %%
# The text is the manual that comes with Python and answers ``help("for")``: about 80 topics. Whole
# topics are held out, not rows. The 39 most frequent characters are tokens; ``·`` is all others.

CONTEXT, N_TRAIN, N_TEST = 8, 120_000, 20_000
rng = np.random.default_rng(0)
texts = [
    " ".join(topics[name].lower().split())
    for name in rng.permutation(sorted(topics))
]
alphabet = "".join(c for c, _ in Counter("".join(texts)).most_common(39)) + "·"
tokens = range(len(alphabet))


def windows(texts, n_rows):
    """Characters before some places in the texts, and those at the places."""
    runs = []
    for text in texts:
        numbers = np.array([alphabet.find(c) for c in text]) % len(alphabet)
        if len(numbers) > CONTEXT:
            runs.append(
                np.lib.stride_tricks.sliding_window_view(numbers, CONTEXT + 1)
            )
    rows = rng.permutation(np.concatenate(runs))[:n_rows]
    return rows[:, :-1], rows[:, -1]


n_taught = 3 * len(texts) // 4
before, y = windows(texts[:n_taught], N_TRAIN)
before_test, y_test = windows(texts[n_taught:], N_TEST)

# %%
# An embedding is what the singular value decomposition leaves of the counts of a character's
# neighbours: two places before it, one before, and one after. A row is the embeddings of eight
# characters side by side, so that each place has columns of its own.

neighbours = np.zeros((len(alphabet), 3, len(alphabet)))
for place, column in enumerate((before[:, -3], before[:, -2], y)):
    np.add.at(neighbours, (before[:, -1], place, column), 1)
counts = np.log1p(neighbours.reshape(len(alphabet), -1))
embedding = TruncatedSVD(12, random_state=0).fit_transform(counts)
embedding = (
    (embedding - embedding.mean(axis=0)) / embedding.std(axis=0)
).astype(np.float32)
X = embedding[before].reshape(len(before), -1)
X_test = embedding[before_test].reshape(len(before_test), -1)

# %%
# All three models see each token once, in batches, through ``partial_fit``. The size of Adam's
# steps is the best of three or four that were tried for each, from 1 to 12 thousandths.
#
# The gate has only the last character. A mixture begins with a ``fit`` to the first rows, in which
# k-means initialises the experts; the nets need not converge on these. (It uses these 6,000 rows
# twice.) From then on each token trains the two experts under which it is most probable.


def net(n_hidden, step):
    return MLPClassifier(
        (n_hidden,), learning_rate_init=step, max_iter=2, random_state=0
    )


last_character = ColumnTransformer(
    [("last", "passthrough", slice(-embedding.shape[1], None))]
)
models = {
    "dense 256": net(256, 0.005),
    "2 of 16 experts of 128": MixtureOfExpertsClassifier(
        net(128, 0.008),
        n_experts=16,
        top_k=2,
        gate=make_pipeline(last_character, SoftmaxGate()),
        cv=False,
        init="kmeans_x",
        n_init=1,
        max_iter=2,
        random_state=0,
    ),
    "dense 2048": net(2048, 0.002),
}
moe = models["2 of 16 experts of 128"]
training = {}
for name, model in models.items():
    start = time.process_time()
    if model is moe:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            moe.fit(X[:6000], y[:6000])
    for rows in np.array_split(np.arange(len(X)), 12):
        model.partial_fit(X[rows], y[rows], classes=tokens)
    training[name] = time.process_time() - start

# %%
# Losses (in nats) and times (in µs of one processor per token, for training and prediction). Two
# experts use an eighth of the weights.


def n_weights(net):
    return sum(part.size for part in net.coefs_ + net.intercepts_)


def loss(model):
    """Mean negative log-probability of the character that came."""
    own = model.predict_proba(X_test)[np.arange(len(X_test)), y_test]
    return -np.log(np.maximum(own, 1e-9)).mean()


def microseconds(model):
    """Time to predict a token, in one thread; the least of five."""
    spent = []
    with threadpool_limits(1):
        for _ in range(5):
            start = time.process_time()
            model.predict_proba(X_test)
            spent.append(time.process_time() - start)
    return 1e6 * min(spent) / len(X_test)


answers = {
    name: (microseconds(model), loss(model)) for name, model in models.items()
}
print(
    f"{'':24}{'weights':>9}{'of them used':>14}"
    f"{'to learn':>10}{'to answer':>11}{'loss':>8}"
)
for name, model in models.items():
    size = (
        sum(map(n_weights, moe.experts_)) if model is moe else n_weights(model)
    )
    used = size // 8 if model is moe else size
    learned = 1e6 * training[name] / len(X)
    answered, lost = answers[name]
    print(
        f"{name:24}{size:9,}{used:14,}"
        f"{learned:10.0f}{answered:11.1f}{lost:8.3f}"
    )

# %%
# ``top_k`` can be set on the fitted mixture: from one expert per token to all. Here the second
# expert adds little, and all others nothing: the gate is certain of its first choice.

curve = []
for k in (1, 2, 4, 16):
    moe.set_params(top_k=k)
    curve.append((microseconds(moe), loss(moe)))
moe.set_params(top_k=2)

figure, ax = plt.subplots(figsize=(5.6, 4), layout="constrained")
ax.semilogx(*zip(*curve, strict=True), "C3o-", markersize=9)
for k, point in zip((1, 2, 4, 16), curve, strict=True):
    ax.annotate(
        f"{k} of 16",
        point,
        xytext=(0, -18),
        textcoords="offset points",
        ha="center",
    )
for name in ("dense 256", "dense 2048"):
    ax.plot(*answers[name], "ks", markersize=9)
    ax.annotate(
        name,
        answers[name],
        xytext=(0, 10),
        textcoords="offset points",
        ha="center",
    )
ax.margins(x=0.12, y=0.18)
ax.set_xticks([1, 2, 5, 10, 20], [1, 2, 5, 10, 20])
ax.minorticks_off()
ax.set(
    xlabel="time to predict (µs a token)",
    ylabel="held-out loss (nats a token)",
)
plt.show()

# %%
# Two of sixteen experts have a lower loss than the dense net of their size, in about twice its
# time, the rest of which is routing. Their loss is also lower than that of the dense net with all
# their weights, in about a third of its time. This is no general rule: here the last character
# predicts well which continuations belong together. (A gate on the last two had a loss higher by
# 0.03.) More passes do not change it: after three, each with its best step size, the losses were
# 1.78 (256), 1.60 (mixture) and 1.67 (2048).
#
# Training of sparse mixtures is expensive in skmoe: all sixteen experts predict every batch, to
# find the most probable ones.

# %%
# The experts of the tokens of the held-out topics. ``route`` has two for each, with their weights;
# the first has nearly all the weight. Loads are not balanced, and need not be: characters are not
# equally frequent, and no expert is unused.

experts, weights = moe.route(X_test)
print(
    "mean weight of the first and the second:", weights.mean(axis=0).round(3)
)
for name, value in moe.expert_report(X_test, y_test).balance.items():
    print(f"{name}: {value:.2f}")

routes = np.stack(
    [np.bincount(choice, minlength=16) for choice in experts.T]
) / len(experts)
order = np.argsort(-routes[0])
figure, ax = plt.subplots(figsize=(5.6, 3), layout="constrained")
places = np.arange(16)
ax.bar(places, routes[0, order], color="C0", label="first choice")
ax.bar(
    places,
    routes[1, order],
    bottom=routes[0, order],
    color="0.75",
    label="second choice",
)
ax.axhline(2 / 16, color="k", linestyle=":", label="even")
ax.set(
    xlabel="expert",
    ylabel="share of the tokens",
    xticks=places,
    xticklabels=order,
)
figure.legend(loc="outside upper center", ncols=3)
plt.show()

# %%
# The tokens of each expert. An expert has a few last characters, and learns what follows them in
# their context. Black is the first choice, grey the second. The space and a few frequent letters
# have an expert of their own; vowels with similar successors share one, and so do the marks that
# end a word.

last = before_test[:, -1]
choice = np.zeros((16, len(alphabet)))
np.maximum.at(choice, (experts[:, 1], last), 0.35)
np.maximum.at(choice, (experts[:, 0], last), 1.0)
common = np.argsort(-np.bincount(last))[:32]
rank = np.argsort(order)[choice[:, common].argmax(axis=0)]
common = common[np.argsort(rank, kind="stable")]
figure, ax = plt.subplots(figsize=(5.6, 4.6), layout="constrained")
ax.imshow(
    choice[order][:, common], cmap="Greys", vmin=0, vmax=1, aspect="auto"
)
ax.set_xticks(
    range(len(common)),
    [alphabet[c].replace(" ", "␣") for c in common],
)
ax.set_yticks(places, order)
ax.set(xlabel="last character", ylabel="expert")
plt.show()

for expert in order:
    rows = np.flatnonzero(experts[:, 0] == expert)[:4]
    seen = [
        "".join(alphabet[c] for c in before_test[i])
        + f"[{alphabet[y_test[i]]}]"
        for i in rows
    ]
    print(f"expert {expert:2}  {'   '.join(seen)}")

# sphinx_gallery_thumbnail_number = 3
