"""Whether a student of low rank will be nearer to the clean law than its teacher, from measurements alone."""
