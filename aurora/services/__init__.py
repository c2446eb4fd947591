"""What people do with Aurora, one function a use: the same for the terminal and for any other face."""
