"""Training: recipes, schedules, losses, the loop, and the state that an interrupted run goes on from."""
