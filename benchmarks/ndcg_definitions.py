"""NDCG of the same recommendations by several libraries.

The hidden items are A, B and C. The recommendations are X, A, B, Y, Z, in this order. Each library
that is installed, or can be installed, computes NDCG at two cutoffs with its default settings.

    python benchmarks/ndcg_definitions.py [--peers FOLDER]
"""

import argparse
import subprocess
import sys
from pathlib import Path

from processes import environment

CUTOFFS = (2, 5)
SETTINGS = """
truth, listed, cutoffs = ["A", "B", "C"], ["X", "A", "B", "Y", "Z"], (2, 5)
"""
PROGRAMS = {
    "shallow_ae": """
from shallow_ae import ndcg_score
print(*(ndcg_score([truth], [listed], k=k) for k in cutoffs))
""",
    "shallow_ae, ideal='full'": """
from shallow_ae import ndcg_score
print(*(ndcg_score([truth], [listed], k=k, ideal="full") for k in cutoffs))
""",
    "scikit-learn": """
from sklearn.metrics import ndcg_score
items = [*listed, "C"]
relevance = [[float(item in truth) for item in items]]
print(*(ndcg_score(relevance, [[6, 5, 4, 3, 2, 1]], k=k) for k in cutoffs))
""",
    "pytrec_eval": """
import pytrec_eval
names = {f"ndcg_cut.{k}" for k in cutoffs}
evaluator = pytrec_eval.RelevanceEvaluator({"u": dict.fromkeys(truth, 1)}, names)
run = {item: -float(rank) for rank, item in enumerate(listed)}
found = evaluator.evaluate({"u": run})["u"]
print(*(found[f"ndcg_cut_{k}"] for k in cutoffs))
""",
    "ranx": """
from ranx import Qrels, Run, evaluate
run = Run({"u": {item: 9 - float(rank) for rank, item in enumerate(listed)}})
qrels = Qrels({"u": dict.fromkeys(truth, 1)})
print(*(float(evaluate(qrels, run, f"ndcg@{k}")) for k in cutoffs))
""",
    "lenskit": """
from lenskit.data import ItemList
from lenskit.metrics import NDCG
listed = ItemList(listed, ordered=True)
print(*(NDCG(k).measure_list(listed, ItemList(truth)) for k in cutoffs))
""",
    "rectools": """
import pandas as pd
from rectools import Columns
from rectools.metrics import NDCG
listed = pd.DataFrame({Columns.User: 1, Columns.Item: listed, Columns.Rank: range(1, 6)})
truth = pd.DataFrame({Columns.User: 1, Columns.Item: truth})
print(*(NDCG(k).calc(listed, truth) for k in cutoffs))
""",
    "irspack": """
import numpy as np
import scipy.sparse as sp
from irspack.evaluation.evaluator import EvaluatorCore
items = [*listed, "C"]
relevance = sp.csr_matrix([[float(item in truth) for item in items]])
scores = np.array([[6, 5, 4, 3, 2, 1.0]])
core = EvaluatorCore(relevance, [])
print(*(core.get_metrics_f64(scores, k, 0, 1).as_dict()["ndcg"] for k in cutoffs))
""",
}
PEERS = ("ranx", "lenskit", "rectools", "irspack")


def main() -> None:
    """Print a row for each library."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", metavar="FOLDER", type=Path, default=Path("build", "peers"))
    arguments = parser.parse_args()
    pythons = {peer: environment(arguments.peers, peer) for peer in PEERS}
    print(f"\n{'':<28}" + "".join(f"{f'k={k}':>10}" for k in CUTOFFS))
    for name, program in PROGRAMS.items():
        python = pythons.get(name, sys.executable)
        if python is None:
            continue
        command = [python, "-c", SETTINGS + program]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        values = map(float, done.stdout.split()[-len(CUTOFFS) :])
        print(f"{name:<28}" + "".join(f"{value:>10.4f}" for value in values))


if __name__ == "__main__":
    main()
