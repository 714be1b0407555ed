# SPDX-License-Identifier: Apache-2.0
"""The models of torch_models.py: small enough for two cores, with layers as wide as the originals have.

Each function takes p and returns a module and its inputs. The module returns the loss. Most dropouts use p. A model
whose paper drops more uses 2 p or 5 p.
"""

import itertools
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Built = tuple[nn.Module, dict[str, Tensor]]


class Loss(nn.Module):
    """Wraps a model of transformers, and returns only its loss."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, **inputs: Tensor) -> Tensor:
        return self.model(**inputs).loss


class Classifier(nn.Module):
    """Wraps a model with one input, and returns the cross-entropy of its output."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(self.model(x).flatten(0, -2).float(), labels.flatten())


def tokens(*shape: int) -> Tensor:
    return torch.randint(4096, shape)


def bert(p: float, batch: int, length: int) -> Built:
    """Two layers as wide as BERT-base's. The last 1/8 of every second text is padding, as batches of texts have it."""
    import transformers

    config = transformers.BertConfig(
        vocab_size=4096, num_hidden_layers=2, hidden_dropout_prob=p, attention_probs_dropout_prob=p
    )
    mask = torch.ones(batch, length, dtype=torch.int64)
    mask[::2, -length // 8 :] = 0
    labels = torch.randint(2, (batch,))
    model = transformers.BertForSequenceClassification(config)
    return Loss(model), {"input_ids": tokens(batch, length), "attention_mask": mask, "labels": labels}


def gpt2(p: float) -> Built:
    """Two layers as wide as those of the smallest GPT-2."""
    import transformers

    config = transformers.GPT2Config(
        vocab_size=4096, n_layer=2, resid_pdrop=p, embd_pdrop=p, attn_pdrop=p, bos_token_id=0, eos_token_id=0
    )
    x = tokens(4, 256)
    return Loss(transformers.GPT2LMHeadModel(config)), {"input_ids": x, "labels": x}


def t5(p: float) -> Built:
    """Two encoder layers and two decoder layers, as wide as T5-small's."""
    import transformers

    config = transformers.T5Config(
        vocab_size=4096, num_layers=2, num_decoder_layers=2, dropout_rate=p, decoder_start_token_id=0
    )
    model = transformers.T5ForConditionalGeneration(config)
    return Loss(model), {"input_ids": tokens(8, 128), "labels": tokens(8, 64)}


def vit(p: float) -> Built:
    """Four layers as wide as ViT-S's, on images of 224 x 224."""
    import transformers

    config = transformers.ViTConfig(
        hidden_size=384, num_hidden_layers=4, num_attention_heads=6, intermediate_size=1536,
        hidden_dropout_prob=p, attention_probs_dropout_prob=p, num_labels=10,
    )  # fmt: skip
    labels = torch.randint(10, (8,))
    return Loss(transformers.ViTForImageClassification(config)), {
        "pixel_values": torch.randn(8, 3, 224, 224),
        "labels": labels,
    }


def whisper(p: float) -> Built:
    """Two encoder layers and two decoder layers, as wide as Whisper-tiny's, on 30 seconds of sound."""
    import transformers

    config = transformers.WhisperConfig(
        vocab_size=4096, d_model=384, encoder_layers=2, decoder_layers=2, encoder_attention_heads=6,
        decoder_attention_heads=6, encoder_ffn_dim=1536, decoder_ffn_dim=1536,
        dropout=p, attention_dropout=p, activation_dropout=p,
        pad_token_id=0, bos_token_id=0, eos_token_id=0, decoder_start_token_id=0, begin_suppress_tokens=None,
    )  # fmt: skip
    model = transformers.WhisperForConditionalGeneration(config)
    return Loss(model), {"input_features": torch.randn(1, 80, 3000), "labels": tokens(1, 64)}


class GCN(nn.Module):
    """Graph convolutions (Kipf 2017): each layer drops, multiplies by its weights, and sums over neighbours."""

    def __init__(self, p: float, *widths: int) -> None:
        super().__init__()
        self.p = p
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(widths))

    def forward(self, x: Tensor, source: Tensor, target: Tensor, weight: Tensor, labels: Tensor) -> Tensor:
        for i, layer in enumerate(self.layers):
            x = layer(F.dropout(x, self.p, self.training))
            x = torch.zeros_like(x).index_add(0, target, x[source] * weight)
            x = F.relu(x) if i + 1 < len(self.layers) else x
        return F.cross_entropy(x.float(), labels)


def gcn(p: float) -> Built:
    """As large as Cora: 2,708 nodes with 1,433 features, 10,556 edges. Drops with 5 p."""
    nodes, edges = 2708, 10_556
    source, target = torch.randint(nodes, (2, edges)).unbind()
    degree = torch.bincount(target, minlength=nodes).clamp(min=1)
    weight = (degree[source] * degree[target]).float().rsqrt()[:, None]
    inputs = {"source": source, "target": target, "weight": weight, "labels": torch.randint(7, (nodes,))}
    return GCN(5 * p, 1433, 64, 7), {"x": torch.randn(nodes, 1433), **inputs}


class TextLSTM(nn.Module):
    """A language model (Zaremba 2014): dropout before, between and after the layers of the LSTM."""

    def __init__(self, p: float, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(4096, width)
        self.dropout = nn.Dropout(p)
        self.lstm = nn.LSTM(width, width, 2, batch_first=True, dropout=p)
        self.head = nn.Linear(width, 4096)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.dropout(self.lstm(self.dropout(self.embedding(x)))[0]))


def lstm(p: float) -> Built:
    """Two layers of width 200, 35 tokens. Drops with 5 p."""
    x = tokens(20, 35)
    return Classifier(TextLSTM(5 * p, 200)), {"x": x, "labels": x.roll(-1, 1)}


def mlp(p: float) -> Built:
    """For digits (Srivastava 2014): two hidden layers of 1,024. Drops with 2 p at the input and 5 p in these layers."""
    layers: list[nn.Module] = [nn.Dropout(2 * p), nn.Linear(784, 1024), nn.ReLU(), nn.Dropout(5 * p)]
    layers += [nn.Linear(1024, 1024), nn.ReLU(), nn.Dropout(5 * p), nn.Linear(1024, 10)]
    return Classifier(nn.Sequential(*layers)), {"x": torch.randn(512, 784), "labels": torch.randint(10, (512,))}


class Mixing(nn.Module):
    """A residual block: an MLP over tokens or over channels, with dropout after each of its two layers."""

    def __init__(self, p: float, width: int, size: int, hidden: int, over_tokens: bool) -> None:
        super().__init__()
        self.over_tokens = over_tokens
        self.norm = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(size, hidden), nn.GELU(), nn.Dropout(p), nn.Linear(hidden, size), nn.Dropout(p)
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(x)
        return x + (self.mlp(y.mT).mT if self.over_tokens else self.mlp(y))


class Mean(nn.Module):
    """The mean over tokens."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(1)


def mixer(p: float) -> Built:
    """Four layers of MLP-Mixer (Tolstikhin 2021), 196 tokens of width 256."""
    layers: list[nn.Module] = [nn.Linear(768, 256)]
    for _ in range(4):
        layers += [Mixing(p, 256, 196, 128, True), Mixing(p, 256, 256, 1024, False)]
    model = nn.Sequential(*layers, Mean(), nn.Linear(256, 10))
    return Classifier(model), {"x": torch.randn(8, 196, 768), "labels": torch.randint(10, (8,))}


MODELS: dict[str, tuple[str, Callable[[float], Built]]] = {
    "bert128": ("BERT, 128 tokens", lambda p: bert(p, 8, 128)),
    "bert512": ("BERT, 512 tokens", lambda p: bert(p, 2, 512)),
    "gpt2": ("GPT-2", gpt2),
    "t5": ("T5", t5),
    "vit": ("ViT", vit),
    "whisper": ("Whisper", whisper),
    "gcn": ("GCN", gcn),
    "lstm": ("LSTM", lstm),
    "mlp": ("MLP", mlp),
    "mixer": ("Mixer", mixer),
}
PRELOADED = ["torch", *(f"transformers.models.{m}.modeling_{m}" for m in ("bert", "gpt2", "t5", "vit", "whisper"))]
