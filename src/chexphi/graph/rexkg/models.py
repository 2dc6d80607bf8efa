"""The two networks, with the parameter names of the published checkpoints (PURE, arXiv 2010.12812)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers import BertConfig, BertModel

from chexphi.graph.rexkg.rows import MAX_WIDTH

HEAD_DROPOUT = 0.2
"""In the entity head (`ReXKG/entity/models.py`)."""


class FeedForward(nn.Module):
    """Linear, ReLU and dropout, twice."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self._linear_layers = nn.ModuleList(
            [nn.Linear(input_size, hidden_size), nn.Linear(hidden_size, hidden_size)]
        )
        self.dropout = nn.Dropout(HEAD_DROPOUT)

    def forward(self, features: Tensor) -> Tensor:
        """(N, input_size) -> (N, hidden_size)"""
        for layer in self._linear_layers:
            features = self.dropout(torch.relu(layer(features)))
        return features


class EntityModel(nn.Module):
    """Labels spans, from the states of the first and last piece and an embedding of the width in words."""

    def __init__(self, config: BertConfig, *, labels: int, head: int, width: int) -> None:
        super().__init__()
        self.bert = BertModel(config)
        self.hidden_dropout = nn.Dropout(config.hidden_dropout_prob)
        self.width_embedding = nn.Embedding(MAX_WIDTH + 1, width)
        feature_size = 2 * config.hidden_size + width
        self.ner_classifier = nn.Sequential(FeedForward(feature_size, head), nn.Linear(head, labels))

    def forward(self, inputs: dict[str, Tensor], row_of_candidate: Tensor, candidates: Tensor) -> Tensor:
        """The logits of spans.

        Args:
            inputs: What BERT takes: `input_ids` (B, T), and a mask if rows are padded.
            row_of_candidate: (C,) the row of each span.
            candidates: (C, 3) first piece, last piece, width in words.

        Returns:
            (C, labels)
        """
        states = self.hidden_dropout(self.bert(**inputs).last_hidden_state)
        first_piece, last_piece, width = candidates.unbind(1)
        features = [
            states[row_of_candidate, first_piece],
            states[row_of_candidate, last_piece],
            self.width_embedding(width),
        ]
        return self.ner_classifier(torch.cat(features, dim=-1))


class RelationModel(nn.Module):
    """Labels ordered pairs, from the states of the two markers that start the subject and the object."""

    def __init__(self, config: BertConfig, *, labels: int) -> None:
        super().__init__()
        self.bert = BertModel(config)
        self.layer_norm = nn.LayerNorm(2 * config.hidden_size)
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.classifier = nn.Linear(2 * config.hidden_size, labels)

    def forward(self, inputs: dict[str, Tensor], row_of_candidate: Tensor, candidates: Tensor) -> Tensor:
        """The logits of pairs.

        Args:
            inputs: What BERT takes: `input_ids` (B, T), a mask if rows are padded, and position ids if
                markers share the positions of words.
            row_of_candidate: (C,) the row of each pair.
            candidates: (C, 2) the markers that start the subject and the object.

        Returns:
            (C, labels)
        """
        states = self.bert(**inputs).last_hidden_state
        subject, object_ = candidates.unbind(1)
        pair = torch.cat([states[row_of_candidate, subject], states[row_of_candidate, object_]], dim=-1)
        return self.classifier(self.dropout(self.layer_norm(pair)))
