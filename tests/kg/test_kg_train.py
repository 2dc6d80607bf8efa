"""`chexphi kg train`: a tiny encoder learns, is interrupted, resumed and loaded again."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest
from safetensors.torch import load_file
from transformers import BertConfig, BertModel, BertTokenizer
from typer.testing import CliRunner, Result

from chexphi.cli import app
from chexphi.graph.lexicon.extractor import LexiconExtractor
from chexphi.graph.rexkg.extractor import RexkgExtractor
from chexphi.kg import train, train_data, train_network
from chexphi.kg.annotated import AnnotatedSentence, annotate, evaluate
from chexphi.kg.train_settings import TrainSettings
from chexphi.schema import InputError, NotFiniteError

WORDS = (
    *("the", "a", "no", "is", "seen", "left", "right", "small", "large", "effusion", "nodule", "opacity"),
    *("lung", "lobe", "in", "and", "of", ".", ","),
)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("encoder")
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"[unused{n}]" for n in range(1, 40))]
    (folder / "vocab.txt").write_text("\n".join([*special, *WORDS]))
    BertTokenizer(str(folder / "vocab.txt")).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(special) + len(WORDS),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
    )
    BertModel(config).save_pretrained(folder)
    return folder


def sentence(article: str, side: str, finding: str, place: str, group: str) -> AnnotatedSentence:
    """What each word is does not depend on others: nothing deeper is learned in a hundred steps."""
    words = [article, "small", side, finding, "in", "the", place, "."]
    entities = [[1, 2, "concept"], [3, 3, "disorder_present"], [6, 6, "anatomy"]]
    return annotate(words, entities, [[0, "modify", 1], [1, "located_at", 2]], group=group)


COMBINATIONS = itertools.product(
    ("a", "the"), ("left", "right"), ("effusion", "nodule", "opacity"), ("lung", "lobe")
)
ROWS = [sentence(*words, group=str(number % 5)) for number, words in enumerate(COMBINATIONS)]
QUICK = TrainSettings(epochs=12, batch_tokens=40, encoder_rate=3e-3, head_rate=3e-3)


def weights(folder: Path) -> dict[str, object]:
    return {
        f"{part}/{name}": value.tolist()
        for part in ("run_entity", "run_relation")
        for name, value in load_file(folder / part / "model.safetensors").items()
    }


def test_it_learns_and_the_checkpoint_is_read_by_the_extractor(encoder: Path, tmp_path: Path) -> None:
    rows, held_out = train.split(ROWS, 0.2, seed=0)
    assert {row.group for row in rows}.isdisjoint(row.group for row in held_out)
    figures = train.main(rows, encoder, tmp_path / "run", QUICK, held_out=held_out)
    assert figures["typed"]["f1"] == figures["relations"]["f1"] == 1
    assert evaluate(RexkgExtractor(tmp_path / "run"), held_out).typed.f1 == 1
    losses = [json.loads(line)["loss"] for line in (tmp_path / "run/run_entity/metrics.jsonl").open()]
    assert len(losses) == 12
    assert losses[-1] < losses[0] / 5
    assert not list((tmp_path / "run").rglob("*.pt"))  # the state goes when training is finished


def test_an_interrupted_training_ends_with_the_same_weights(
    encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = TrainSettings(epochs=3, batch_tokens=40)
    train.main(ROWS, encoder, tmp_path / "whole", settings)
    keep = train_network._save_state
    for part, epoch in (("run_entity", 2), ("run_relation", 1)):  # the power fails twice

        def fail(path: Path, number: int, *parts: object, part: str = part, epoch: int = epoch) -> None:
            keep(path, number, *parts)
            if path.parent.name == part and number == epoch:
                raise KeyboardInterrupt

        monkeypatch.setattr(train_network, "_save_state", fail)
        with pytest.raises(KeyboardInterrupt):
            train.main(ROWS, encoder, tmp_path / "torn", settings, resume=(tmp_path / "torn").exists())
    monkeypatch.setattr(train_network, "_save_state", keep)
    with pytest.raises(InputError, match="already holds a run"):
        train.main(ROWS, encoder, tmp_path / "torn", settings)
    for changed, named in (
        ({"rows": ROWS[1:]}, "sentences_sha256"),
        ({"settings": TrainSettings(epochs=4, batch_tokens=40)}, "epochs was 3 and is 4"),
    ):
        same = {"rows": ROWS, "encoder": encoder, "out": tmp_path / "torn", "settings": settings}
        with pytest.raises(InputError, match=named):
            train.main(**{**same, **changed}, resume=True)
    train.main(ROWS, encoder, tmp_path / "torn", settings, resume=True)
    assert weights(tmp_path / "torn") == weights(tmp_path / "whole")


def test_drawn_sentences_are_what_the_lexicon_finds() -> None:
    rows = train_data.draw_sentences(40, seed=3)
    assert len({row.text for row in rows}) == 40
    assert rows == train_data.draw_sentences(40, seed=3)
    scores = evaluate(LexiconExtractor(), rows)
    assert scores.typed.f1 == scores.relations.f1 == 1
    assert scores.relations.tp > 40


def test_documents_of_the_published_form_are_read(tmp_path: Path) -> None:
    document = {
        "doc_key": "d1",
        "sentences": [["small", "effusion", "."], ["no", "nodule", "in", "the", "lung"]],
        "ner": [
            [[0, 0, "concept"], [1, 1, "disorder_present"]],
            [[4, 4, "disorder_notpresent"], [7, 7, "anatomy"]],
        ],
        "relations": [[[0, 0, 1, 1, "modify"]], [[4, 4, 7, 7, "located_at"]]],
    }
    path = tmp_path / "train.jsonl"
    path.write_text(json.dumps(document) + "\n")
    first, second = train_data.read_sentences([path])
    assert first.relations == {((0, 0, "concept"), "modify", (1, 1, "disorder_present"))}
    assert second.relations == {((1, 1, "disorder_notpresent"), "located_at", (4, 4, "anatomy"))}
    assert first.group == second.group == "d1"


def invoke(*argv: object) -> Result:
    return CliRunner().invoke(app, ["kg", "train", *map(str, argv)])


def test_the_verb(encoder: Path, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    with path.open("w") as file:
        for row in ROWS:
            entities = sorted(row.spans)
            links = [[entities.index(a), kind, entities.index(b)] for a, kind, b in row.relations or ()]
            file.write(
                json.dumps({"id": row.group, "tokens": row.words, "entities": entities, "relations": links})
                + "\n"
            )
    done = invoke(
        path,
        "--encoder",
        encoder,
        "--out",
        tmp_path / "run",
        "--epochs",
        1,
        "--hold-out",
        0.3,
        "--drawn",
        5,
        "--json",
    )
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["sentences"] == 14 + 5
    done = CliRunner().invoke(
        app, ["kg", "eval", str(path), "--extractor", f"rexkg:{tmp_path / 'run'}", "--json"]
    )
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"config.json": None}, "has no config.json"),
        ({"model.safetensors": None}, "convert its weights to safetensors"),
        ({"config.json": '{"model_type": "roberta"}'}, "is of type 'roberta'"),
    ],
)
def test_an_encoder_that_cannot_be_used(
    change: dict[str, str | None], message: str, encoder: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "encoder"
    broken.mkdir()
    for file in encoder.iterdir():
        content = change.get(file.name, "")
        if content is not None:
            (broken / file.name).write_bytes(content.encode() or file.read_bytes())
    with pytest.raises(InputError, match=message):
        train.main(ROWS, broken, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_data_without_relations_and_a_split_without_patients(encoder: Path, tmp_path: Path) -> None:
    bare = [annotate(row.words, sorted(row.spans)) for row in ROWS]
    with pytest.raises(InputError, match="no sentence has relations"):
        train.main(bare, encoder, tmp_path / "run")
    with pytest.raises(InputError, match="leaves no sentence on one side"):
        train.split(bare, 0.2, seed=0)  # one group


def test_weights_that_are_not_finite_are_not_saved(encoder: Path, tmp_path: Path) -> None:
    settings = TrainSettings(epochs=1, batch_tokens=40, encoder_rate=1e30, head_rate=1e30)
    with pytest.raises(NotFiniteError) as stopped:
        train.main(ROWS, encoder, tmp_path / "run", settings)
    sentence = str(stopped.value)
    assert sentence.startswith("kg train: ")
    assert sentence.endswith(
        " of the run_entity model is not finite after epoch 1: nothing of it is saved; lower "
        "encoder_rate and head_rate"
    )
    assert not list((tmp_path / "run").rglob("*.safetensors"))
    assert not list((tmp_path / "run").rglob("*.pt"))
