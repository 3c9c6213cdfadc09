"""The phases that methods are made of: trainings, one file each."""
