"""The machine: threads, memory, speed, compiled functions and JAX. No matrices or models."""
