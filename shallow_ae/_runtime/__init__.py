"""The machine: threads, memory, speed, compiled functions and JAX's settings. No matrix or model."""
