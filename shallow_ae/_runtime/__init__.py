"""The machine: threads, memory, speed, compiled functions, JAX. Independent of matrices."""
