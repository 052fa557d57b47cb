"""Makes the files in tests/model_files, which every later version must load.

Run it once for each new schema; files of earlier schemas stay:

    python tests/make_model_files.py
"""

import json
from pathlib import Path

from recommenders import MODELS, fitted_recommender

from shallow_ae import save_model
from shallow_ae._model_files.document import SCHEMA

HISTORY = ["song00003", "song00007", "song00011"]
FOLDER = Path(__file__).with_name("model_files")


def main():
    FOLDER.mkdir(exist_ok=True)
    for name in MODELS:
        recommender = fitted_recommender(name)
        stem = f"schema{SCHEMA}-{name.replace(', ', '-').replace(' ', '-')}"
        save_model(recommender, FOLDER / f"{stem}.safetensors", keep="all")
        best = recommender.recommend([("new", item) for item in HISTORY], k=3)
        expected = {
            "history": HISTORY,
            "items": best["item"].tolist(),
            "scores": [float(score) for score in best["score"]],
        }
        (FOLDER / f"{stem}.json").write_text(json.dumps(expected) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
