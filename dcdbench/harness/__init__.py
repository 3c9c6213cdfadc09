"""The harness: suites, plans, stages, the store and the leaderboard. It knows no component by name."""
