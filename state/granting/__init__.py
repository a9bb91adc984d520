"""What a grant is: bundles, what targets tell of it, its secret, its proof. Knows neither journal nor estate."""
