"""Displays: plots of a loss curve and of a regularization path, in matplotlib."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

__all__ = ["LossCurveDisplay", "RegularizationPathDisplay"]


class LossCurveDisplay:
    """Plot of the loss before each step and, with early stopping, the scores of held-out users.

    Use `from_estimator` to create it.

    Parameters
    ----------
    losses : array-like of shape (n_steps,)
        The objective before each step, on that step's batch.
    scores : array-like of shape (n_scores,), default=()
        NDCG@100 of the held-out users.
    score_steps : array-like of shape (n_scores,), default=()
        Number of steps taken before each score.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the loss.
    score_ax_ : matplotlib Axes or None
        Axes with the scores, which share the x axis of the loss and have a y axis of their own.
        None if there are no scores.
    figure_ : matplotlib Figure
        Figure that contains the axes.
    line_ : matplotlib Line2D
        Line of the loss.
    score_line_ : matplotlib Line2D or None
        Line of the scores. None if there are no scores.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> import numpy as np
    >>> from shallow_ae import ShallowAutoEncoder
    >>> from shallow_ae.display import LossCurveDisplay
    >>> X = np.random.default_rng(0).poisson(0.4, (80, 15))
    >>> display = LossCurveDisplay.from_estimator(ShallowAutoEncoder(random_state=0).fit(X))
    >>> display.plot().ax_.get_xlabel()
    'Step'
    """

    def __init__(
        self, losses: ArrayLike, scores: ArrayLike = (), score_steps: ArrayLike = ()
    ) -> None:
        self.losses = losses
        self.scores = scores
        self.score_steps = score_steps

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None, **kwargs: Any) -> Self:
        """Plot the curves of a fitted model.

        Parameters
        ----------
        estimator : fitted ShallowAutoEncoder, or a pipeline or search that ends in one
            The model must be fitted with solver="sgd".
        ax : matplotlib Axes, default=None
            Axes to plot on; None creates a new figure.
        **kwargs : dict
            Arguments of matplotlib's `plot` for the line of the loss.

        Returns
        -------
        display : LossCurveDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed: `pip install shallow-ae[plot]`.
        ValueError
            If the model was fitted in closed form, which takes no steps.
        """
        found = getattr(estimator, "best_estimator_", estimator)  # the attribute of a search
        model = found[-1] if isinstance(found, Pipeline) else found
        check_is_fitted(model, "loss_curve_")
        if hasattr(model, "residual_"):
            raise ValueError(
                "There is no loss curve: an exact fit takes no steps. Set solver='sgd'."
            )
        return cls(model.loss_curve_, model.validation_curve_, model.validation_steps_).plot(
            ax=ax, **kwargs
        )

    def plot(self, *, ax: Any = None, **kwargs: Any) -> Self:
        """Plot the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot on; None creates a new figure.
        **kwargs : dict
            Arguments of matplotlib's `plot` for the line of the loss.

        Returns
        -------
        display : LossCurveDisplay
            This display, with the attributes that `plot` sets.
        """
        self.ax_ = ax = _axes(ax)
        self.figure_ = ax.figure
        style = {"label": "Loss", "color": "C0", **kwargs}
        (self.line_,) = ax.plot(np.arange(len(np.asarray(self.losses))), self.losses, **style)
        ax.set(xlabel="Step", ylabel="Loss on the step's batch")
        self.score_ax_ = self.score_line_ = None
        if len(np.asarray(self.scores)):
            self.score_ax_ = ax.twinx()
            (self.score_line_,) = self.score_ax_.plot(
                self.score_steps, self.scores, color="C1", marker=".", label="NDCG@100"
            )
            self.score_ax_.set_ylabel("NDCG@100 of held-out users")
            ax.legend(handles=[self.line_, self.score_line_], loc="center right")
        return self


class RegularizationPathDisplay:
    """Plot of the mean test score of a search against `regularization`, with the selected value.

    Use `from_estimator` to create it.

    Parameters
    ----------
    cv_results : dict
        The attribute `cv_results_` of a search.
    regularization : str, default="regularization"
        Name of the parameter in `cv_results`, such as "shallowautoencoder__regularization".
    best_index : int, default=None
        Index of the selected setting in `cv_results`; None means the best mean score.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the plot.
    figure_ : matplotlib Figure
        Figure that contains the axes.
    lines_ : list of matplotlib Line2D
        Mean scores, one line for each combination of the other parameters.
    bands_ : list of matplotlib FillBetweenPolyCollection
        Bands of one standard deviation over the splits, above and below each line.
    best_ : matplotlib Line2D
        Vertical line at the selected value.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("agg")
    >>> import numpy as np
    >>> from shallow_ae import ShallowAutoEncoderCV
    >>> from shallow_ae.display import RegularizationPathDisplay
    >>> X = np.random.default_rng(0).poisson(0.4, (80, 15))
    >>> search = ShallowAutoEncoderCV([0.1, 1.0, 10.0], dropout=[0.0, 0.5]).fit(X)
    >>> display = RegularizationPathDisplay.from_estimator(search)
    >>> [line.get_label() for line in display.plot().lines_]
    ['dropout=0.0', 'dropout=0.5']
    """

    def __init__(
        self,
        cv_results: dict[str, Any],
        regularization: str = "regularization",
        best_index: int | None = None,
    ) -> None:
        self.cv_results = cv_results
        self.regularization = regularization
        self.best_index = best_index

    @classmethod
    def from_estimator(cls, search: Any, *, ax: Any = None, **kwargs: Any) -> Self:
        """Plot the regularization path of a fitted search.

        Parameters
        ----------
        search : fitted ShallowAutoEncoderCV, GridSearchCV or other search of scikit-learn
            A search over values of `regularization`, of a model or of a step of a pipeline.
        ax : matplotlib Axes, default=None
            Axes to plot on; None creates a new figure.
        **kwargs : dict
            Arguments of matplotlib's `plot` for the lines of the mean scores.

        Returns
        -------
        display : RegularizationPathDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed: `pip install shallow-ae[plot]`.
        ValueError
            If the search did not vary exactly one parameter named `regularization`, if "auto" was
            one of its values, or if the search used several scorers.
        """
        check_is_fitted(search, "cv_results_")
        results = search.cv_results_
        searched = [name.removeprefix("param_") for name in results if name.startswith("param_")]
        names = [name for name in searched if name.split("__")[-1] == "regularization"]
        if len(names) != 1:
            raise ValueError(f"Expected one searched parameter `regularization`, found {searched}.")
        if "mean_test_score" not in results:
            raise ValueError(
                "A search with several scorers has several paths. Run the search with one scorer."
            )
        if any(isinstance(params.get(names[0]), str) for params in results["params"]):
            raise ValueError(
                "`regularization`='auto' has no place on the axis of numbers. Search the number "
                "that it stands for, `regularization_` of a fitted model."
            )
        return cls(results, names[0], search.best_index_).plot(ax=ax, **kwargs)

    def plot(self, *, ax: Any = None, **kwargs: Any) -> Self:
        """Plot the regularization path.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to plot on; None creates a new figure.
        **kwargs : dict
            Arguments of matplotlib's `plot` for the lines of the mean scores.

        Returns
        -------
        display : RegularizationPathDisplay
            This display, with the attributes that `plot` sets.
        """
        self.ax_ = ax = _axes(ax)
        self.figure_ = ax.figure
        results = self.cv_results
        given = [params.get(self.regularization, np.nan) for params in results["params"]]
        values = np.array(given, dtype=float)
        means, deviations = results["mean_test_score"], results["std_test_score"]
        self.lines_, self.bands_ = [], []
        for label, places in self._others().items():
            along = np.array(places)[np.argsort(values[places])]
            x, mean, deviation = values[along], means[along], deviations[along]
            (line,) = ax.plot(x, mean, **{"marker": ".", "label": label, **kwargs})
            self.lines_.append(line)
            band = ax.fill_between(
                x, mean - deviation, mean + deviation, alpha=0.15, color=line.get_color(), lw=0
            )
            self.bands_.append(band)
        best = int(np.nanargmax(means)) if self.best_index is None else self.best_index
        self.best_ = ax.axvline(values[best], color="gray", ls=":", label=f"best: {values[best]:g}")
        ax.set(xlabel="Regularization", ylabel="Mean test score")
        if (values == 0).any():  # valid with solver="sgd", but not on a logarithmic axis
            ax.set_xscale("symlog", linthresh=values[values > 0].min(initial=1.0))
        else:
            ax.set_xscale("log")
        ax.legend()
        return self

    def _others(self) -> dict[str, list[int]]:
        """Return groups of settings that differ only in `regularization`, by a common label."""
        shared: dict[str, list[int]] = {}
        for place, params in enumerate(self.cv_results["params"]):
            if self.regularization not in params:
                continue
            others = {name: v for name, v in params.items() if name != self.regularization}
            short = {name: name.split("__")[-1] for name in others}
            if len(set(short.values())) == len(short):
                others = {short[name]: value for name, value in others.items()}
            if "iter" in self.cv_results:  # a halving search uses more rows in each iteration
                others["iter"] = self.cv_results["iter"][place]
            label = ", ".join(f"{name}={value}" for name, value in others.items())
            shared.setdefault(label or "mean over splits", []).append(place)
        return shared


def _axes(ax: Any) -> Any:
    if ax is not None:
        return ax
    try:
        from matplotlib import pyplot as plt
    except ImportError as error:
        raise ImportError(
            "Displays need matplotlib, which is not installed: pip install shallow-ae[plot]."
        ) from error
    return plt.subplots()[1]
