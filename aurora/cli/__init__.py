"""The command `aurora`. A command's module is imported when the command is called, and not before."""
