"""AnalyticsService and what it is made of."""
