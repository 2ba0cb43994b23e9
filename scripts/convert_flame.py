"""Take FLAME's arrays out of the pickle it is distributed as.

    python scripts/convert_flame.py generic_model.pkl flame2020.npz

redub itself reads no pickle, because a pickle can name any function of Python and have it called.
This reader knows arrays, sparse matrices and chumpy's wrapper around arrays, makes the latter two
itself, and refuses a file that names anything else. chumpy need not be installed.
"""

import argparse
import pickle
from pathlib import Path
from typing import IO, Any

import numpy as np
from scipy import sparse

WANTED = ("v_template", "shapedirs", "f", "J_regressor", "weights")


class Held:
    """An object of the pickle of which only the state is taken."""

    state: dict[str, Any]

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.state = state

    def array(self) -> np.ndarray:
        """The array inside: chumpy keeps it as `x`, a sparse matrix in three of its own."""
        if "x" in self.state:
            return as_array(self.state["x"])
        parts = (self.state["data"], self.state["indices"], self.state["indptr"])
        return sparse.csc_matrix(parts, shape=self.state["_shape"]).toarray()


def plain(kind: type, _base: type, _state: None) -> Any:
    """What Python 2 wrote for a new object."""
    return kind()


def blank(_kind: object, _shape: object, _code: object) -> np.ndarray:
    """An empty array, whose state follows."""
    return np.empty(0, np.int8)


def encoded(text: str, _code: str) -> bytes:
    """Bytes, as Python 3 writes them for Python 2: text of code points below 256."""
    return text.encode("latin1")


ARRAY_TYPE = "ndarray"
"""Stands for numpy's class: named in every array, and never to be called by a file."""

ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): blank,
    ("numpy", "ndarray"): ARRAY_TYPE,
    ("numpy", "dtype"): np.dtype,
    ("copyreg", "_reconstructor"): plain,
    ("copy_reg", "_reconstructor"): plain,
    ("_codecs", "encode"): encoded,
    ("builtins", "object"): object,
    ("__builtin__", "object"): object,
    ("chumpy.ch", "Ch"): Held,
    ("scipy.sparse.csc", "csc_matrix"): Held,
    ("scipy.sparse._csc", "csc_matrix"): Held,
}


class ArraysOnly(pickle.Unpickler):
    """Unpickles what `ALLOWED` names and nothing else."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file, encoding="latin1")

    def find_class(self, module_name: str, global_name: str) -> Any:
        known = ALLOWED.get((module_name.replace("numpy._core", "numpy.core"), global_name))
        if known is None:
            raise pickle.UnpicklingError(
                f"it asks for {module_name}.{global_name}, which no array needs"
            )
        return known


def as_array(value: Any) -> np.ndarray:
    return value.array() if isinstance(value, Held) else np.asarray(value)


def convert(source: Path, target: Path) -> dict[str, tuple[int, ...]]:
    """Write the arrays of a FLAME pickle as `.npz`; returns their shapes.

    Exits with a sentence for a pickle that holds anything but arrays, or lacks one.
    """
    try:
        with open(source, "rb") as file:
            document = ArraysOnly(file).load()
        arrays = {name: as_array(document[name]) for name in WANTED}
    except (OSError, pickle.UnpicklingError, KeyError, TypeError, EOFError) as error:
        raise SystemExit(
            f"{source} is no FLAME model ({error}); give generic_model.pkl or flame2023.pkl."
        ) from error
    arrays["f"] = arrays["f"].astype(np.int32)
    numbers = {n: a if n == "f" else a.astype(np.float32) for n, a in arrays.items()}
    np.savez_compressed(target, **numbers)  # pyright: ignore[reportArgumentType]
    return {name: array.shape for name, array in arrays.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("pickle", type=Path)
    parser.add_argument("npz", type=Path)
    options = parser.parse_args()
    shapes = convert(options.pickle, options.npz)
    print(f"{options.npz}: {', '.join(f'{name} {shape}' for name, shape in shapes.items())}")


if __name__ == "__main__":
    main()
