"""Live and historical market data, graded bar by bar, on a bus of your own."""
