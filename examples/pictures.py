"""Draw two pictures of the documentation: the loss of a fit, and the score by regularization.

python examples/pictures.py                                  # made-up listens
python examples/pictures.py --lastfm FOLDER --out FOLDER     # HetRec 2011 Last.fm
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot as plt

from shallow_ae import IdMapper, LogCountTransformer, ShallowAutoEncoder, ShallowAutoEncoderCV
from shallow_ae.datasets import fetch_lastfm, make_listens
from shallow_ae.display import LossCurveDisplay, RegularizationPathDisplay

LISTENERS = 3  # at least, of an artist to be learned


def main(argv: list[str] | None = None) -> None:
    """Write `loss_curve.svg` and `regularization_path.svg`."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lastfm", metavar="FOLDER", help="folder of the HetRec 2011 files")
    parser.add_argument("--out", metavar="FOLDER", type=Path, default=Path("pictures"))
    args = parser.parse_args(argv)
    mpl.use("agg")
    mpl.rcParams["svg.hashsalt"] = "shallow_ae"  # the same file each time
    listens = fetch_lastfm(args.lastfm).listens if args.lastfm else make_listens(random_state=0)[0]
    listens = listens[listens.groupby("item")["user"].transform("size") >= LISTENERS]
    X = LogCountTransformer().fit_transform(IdMapper().fit_transform(listens))

    model = ShallowAutoEncoder(max_iter=60, early_stopping=True, random_state=0).fit(X)
    save(LossCurveDisplay.from_estimator(model).figure_, args.out / "loss_curve.svg")
    search = ShallowAutoEncoderCV([0.2, 0.5, 1.0, 2.0, 5.0, 10.0], dropout=[0.0, 0.3]).fit(X)
    save(
        RegularizationPathDisplay.from_estimator(search).figure_,
        args.out / "regularization_path.svg",
    )


def save(figure: plt.Figure, path: Path) -> None:
    """Write a figure for a page."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.set_size_inches(6, 3.6)
    figure.savefig(path, bbox_inches="tight", metadata={"Date": None})
    plt.close(figure)
    print(f"Wrote {path}")


if __name__ == "__main__":
    main()
