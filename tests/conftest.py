"""One thread for every test: on a busy machine OpenMP's waiting costs more than its help."""

import torch

torch.set_num_threads(1)
