"""The solver for `solver="sgd"`: minibatch gradient descent."""
