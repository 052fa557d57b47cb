"""Progress bars. tqdm is imported when the first bar is shown."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class Progress:
    """Counter of completed units of work, which shows nothing."""

    n_done = 0

    def advance_to(self, n_done: int, **figures: str) -> None:
        """Set the number of completed units; a progress bar shows the figures beside it."""
        self.n_done = n_done

    def advance(self, n_units: int) -> None:
        """Add to the number of completed units."""
        self.advance_to(self.n_done + n_units)


@contextmanager
def progress_bar(
    total: int | None, description: str, unit: str = "it", *, verbose: int
) -> Iterator[Progress]:
    """Show a progress bar for `total` units of work, if `verbose` is not 0.

    None stands for a total that is not known.
    """
    if not verbose:
        yield Progress()
        return
    from tqdm.auto import tqdm

    class Shown(Progress):
        def advance_to(self, n_done: int, **figures: str) -> None:
            super().advance_to(n_done, **figures)
            if figures:
                bar.set_postfix(figures, refresh=False)
            bar.update(n_done - bar.n)

    with tqdm(total=total, desc=description, unit=unit) as bar:
        yield Shown()
