"""The two networks, with the parameter names of the published checkpoints (PURE, arXiv 2010.12812)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers import BertConfig, BertModel

from chexphi.graph.rexkg.rows import WIDEST

HEAD_DROPOUT = 0.2
"""In the entity head (`ReXKG/entity/models.py`)."""


class FeedForward(nn.Module):
    """Linear, ReLU and dropout, twice."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self._linear_layers = nn.ModuleList([nn.Linear(inputs, hidden), nn.Linear(hidden, hidden)])
        self.dropout = nn.Dropout(HEAD_DROPOUT)

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, inputs) -> (N, hidden)"""
        for layer in self._linear_layers:
            inputs = self.dropout(torch.relu(layer(inputs)))
        return inputs


class EntityModel(nn.Module):
    """Judges spans: the states of a span's first and last piece, and an embedding of its width in words."""

    def __init__(self, config: BertConfig, *, labels: int, head: int, width: int) -> None:
        super().__init__()
        self.bert = BertModel(config)
        self.hidden_dropout = nn.Dropout(config.hidden_dropout_prob)
        self.width_embedding = nn.Embedding(WIDEST + 1, width)
        inputs = 2 * config.hidden_size + width
        self.ner_classifier = nn.Sequential(FeedForward(inputs, head), nn.Linear(head, labels))

    def forward(self, inputs: dict[str, Tensor], rows: Tensor, places: Tensor) -> Tensor:
        """Scores of spans.

        Args:
            inputs: What BERT takes: `input_ids` (B, T), and a mask where rows are padded.
            rows: (S,) the row of each span.
            places: (S, 3) first piece, last piece, width in words.

        Returns:
            (S, labels)
        """
        states = self.hidden_dropout(self.bert(**inputs).last_hidden_state)
        first, last, width = places.unbind(1)
        ends = [states[rows, first], states[rows, last], self.width_embedding(width)]
        return self.ner_classifier(torch.cat(ends, dim=-1))


class RelationModel(nn.Module):
    """Judges ordered pairs: the states of the two markers that open the subject and the object."""

    def __init__(self, config: BertConfig, *, labels: int) -> None:
        super().__init__()
        self.bert = BertModel(config)
        self.layer_norm = nn.LayerNorm(2 * config.hidden_size)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.classifier = nn.Linear(2 * config.hidden_size, labels)

    def forward(self, inputs: dict[str, Tensor], rows: Tensor, places: Tensor) -> Tensor:
        """Scores of pairs.

        Args:
            inputs: What BERT takes: `input_ids` (B, T), a mask where rows are padded, position ids where
                markers share those of the words.
            rows: (Q,) the row of each pair.
            places: (Q, 2) the subject's and the object's opening marker.

        Returns:
            (Q, labels)
        """
        states = self.bert(**inputs).last_hidden_state
        subject, object_ = places.unbind(1)
        pair = torch.cat([states[rows, subject], states[rows, object_]], dim=-1)
        return self.classifier(self.dropout(self.layer_norm(pair)))
