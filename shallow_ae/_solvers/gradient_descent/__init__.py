"""Minibatch gradient descent in JAX."""
