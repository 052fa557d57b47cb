"""The machine: threads, memory, speed, compiled functions, JAX. It knows no matrix."""
