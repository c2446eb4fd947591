"""Embedders: texts to vectors, offline and deterministic."""

from memory.embed.open import open_embedder, reopen_embedder

__all__ = ["open_embedder", "reopen_embedder"]
