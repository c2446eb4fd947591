"""Work: who runs which task, and what happens when it fails."""
