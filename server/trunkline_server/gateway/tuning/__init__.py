"""Models that are trained for tenants: datasets, what training costs, whose a trained model is."""
