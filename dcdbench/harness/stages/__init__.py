"""What the stages of a plan do, one file each. Their code is part of the keys of their results."""
