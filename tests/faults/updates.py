"""A daily job: load a pipeline that keeps its interactions, update it, and save it again."""

import numpy as np
from harness import InFolder, LossError

from shallow_ae import SparseShallowAutoEncoder, load_model, make_recommender, save_model
from shallow_ae.datasets import make_listens


class Update(InFolder):
    """`partial_fit` with the listens of a day, and `forget` of its users, in turn."""

    name, seconds = "update", 0.3

    def prepare(self):
        """Fit a pipeline to the listens before the day, and another to all of them."""
        listens, _ = make_listens(300, 100, random_state=0)
        self.path = self.folder / "songs.safetensors"
        self.users = listens["user"].unique()[-30:]
        of_day = listens["user"].isin(self.users)
        self.day = listens[of_day]
        fresh = [self.fresh(listens[~of_day]), self.fresh(listens)]
        self.expected = [contents(own) for own in fresh]
        save_model(fresh[0], self.path, keep="all")

    @staticmethod
    def fresh(listens):
        """Return a new pipeline, fitted."""
        model = SparseShallowAutoEncoder(0.5, n_neighbors=10)
        return make_recommender(model, keep_interactions=True).fit(listens)

    def run(self):
        """Do the job again and again."""
        while True:
            self.job()

    def job(self):
        """Bring the file from one state to the other; return which state it was in."""
        self.pipeline = load_model(self.path)
        state = self.state_of(self.pipeline)
        if state == 0:
            self.pipeline.partial_fit(self.day)
        else:
            self.pipeline.forget(users=self.users)
        save_model(self.pipeline, self.path, keep="all")
        return state

    def interrupted(self):
        """Return whether the pipeline in memory is usable and is one of the two."""
        is_whole = not hasattr(self, "pipeline") or self.state_of(self.pipeline) in (0, 1)
        return is_whole and super().interrupted()

    def check(self):
        """Compare the file with both fresh fits, and again after a further job."""
        state = self.state_of(load_model(self.path))
        self.job()
        if self.state_of(load_model(self.path)) != 1 - state:
            raise LossError("the next job led to another state")
        self.check_next_run()
        return 2

    def state_of(self, pipeline):
        """Return whether the day is in the pipeline: 0 or 1."""
        found = contents(pipeline)
        for state, expected in enumerate(self.expected):
            if all(map(np.array_equal, found, expected)):
                return state
        raise LossError("the pipeline is neither the one before nor the one after the update")


def contents(pipeline):
    """Return the users, and what is recommended to each of them."""
    users = np.sort(pipeline[0].users_)
    found = pipeline.recommend(users=users, k=5)
    return users, *(found[name].to_numpy() for name in ("user", "item", "score"))
