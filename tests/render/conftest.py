"""Triton's kernels run in its interpreter where there is no CUDA device."""

import os

import torch

if not torch.cuda.is_available():
    # Read once, when a kernel is defined.
    os.environ.setdefault("TRITON_INTERPRET", "1")
