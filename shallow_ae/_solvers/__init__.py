"""Three ways to the solution, and what each costs. No estimator, no evaluation."""
