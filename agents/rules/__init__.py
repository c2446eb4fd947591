"""Rules of the deterministic analyst. One file a theme; the part of an id before the dot is the theme."""
