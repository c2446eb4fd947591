"""The nodes of the graphs, one file each. A node may run twice: each is safe to repeat."""
