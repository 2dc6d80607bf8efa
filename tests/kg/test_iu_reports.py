"""The IU reports: presence, places and sides against codes; made-up reports, and the real ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from chexphi.cli import app
from chexphi.graph.lexicon.extractor import LexiconExtractor
from chexphi.kg import iu_reports
from chexphi.kg.findings import FINDINGS
from chexphi.schema import InputError

XML = """<eCitation><Abstract><AbstractText Label="INDICATION">Pneumonia?</AbstractText>
<AbstractText Label="FINDINGS">{}</AbstractText></Abstract><MeSH>{}</MeSH></eCitation>"""


def folder(path: Path, reports: dict[str, tuple[str, list[str], set[str]]]) -> Path:
    (path / "ecgen-radiology").mkdir()
    lines = ["filename," + ",".join(FINDINGS)]
    for key, (text, codes, present) in reports.items():
        majors = "".join(f"<major>{code}</major>" for code in codes)
        (path / "ecgen-radiology" / f"{key}.xml").write_text(XML.format(text, majors))
        lines.append(f"CXR{key}," + ",".join(str(int(name in present)) for name in FINDINGS))
    (path / "findings14_gold.csv").write_text("\n".join(lines) + "\n")
    return path


def test_figures_of_made_up_reports(tmp_path: Path) -> None:
    data = folder(
        tmp_path,
        {
            "1": ("Opacity in the left lung base. No effusion.", ["Opacity/lung/base/left"], set()),
            "2": (
                "Right lower lobe atelectasis.",
                ["Pulmonary Atelectasis/lower lobe/left"],
                {"Atelectasis"},
            ),
            "3": ("The aorta is tortuous. Small effusion.", ["Aorta/tortuous"], set()),
            "4": ("The lungs are clear.", ["Calcinosis/lung/hilum", "normal"], {"Nodule"}),
        },
    )
    done = CliRunner().invoke(app, ["kg", "eval", str(data), "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["presence"] == {"precision": 0.5, "recall": 0.5, "f1": 0.5, "n": 2}
    # found: opacity-lung, opacity-base, atelectasis-lower lobe, tortuous-aorta; not: calcinosis twice
    assert found["pairs"] == {"recall": pytest.approx(4 / 6), "precision": 1.0, "n": 6}
    assert found["laterality"] == {"right": 0.5, "n": 2}
    assert CliRunner().invoke(app, ["kg", "eval", str(data)]).exit_code == 0


def test_a_report_that_is_no_xml_is_named(tmp_path: Path) -> None:
    data = folder(tmp_path, {"1": ("<b>", [], set())})
    with pytest.raises(InputError, match=r"1\.xml is not XML"):
        iu_reports.read_reports(data)


def test_the_lexicon_meets_its_bars_on_the_real_reports(shared_data: Path) -> None:
    """The bars are those of docs/log.md; codes are human."""
    reports = iu_reports.read_reports(shared_data / "iu_reports")
    found = iu_reports.evaluate(LexiconExtractor(), reports)
    assert found["presence"]["f1"] >= 0.93
    assert found["pairs"]["recall"] >= 0.75
    assert found["laterality"]["right"] >= 0.97


def test_the_published_folder_alone_gives_presence_by_its_codes(tmp_path: Path) -> None:
    reports = {
        "1": ("Opacity in the left lung base. No effusion.", ["Opacity/lung/base/left"]),
        "2": ("Right lower lobe atelectasis.", ["Pulmonary Atelectasis/lower lobe/right"]),
        "3": ("Small effusion. Hiatal hernia.", ["Pleural Effusion/small", "Hernia, Hiatal"]),
        "4": ("Pleural thickening.", ["Thickening/pleura/apex", "Emphysema"]),
        "5": ("A nodule.", ["No Indexing"]),  # nobody has coded it
        "6": ("", ["Nodule/lung"]),  # nothing is said
    }
    for key, (text, codes) in reports.items():
        (tmp_path / "ecgen-radiology").mkdir(exist_ok=True)
        majors = "".join(f"<major>{code}</major>" for code in codes)
        (tmp_path / "ecgen-radiology" / f"{key}.xml").write_text(XML.format(text, majors))
    wanted = [set(), {"Atelectasis"}, {"Effusion", "Hernia"}, {"Pleural_Thickening", "Emphysema"}]
    for data in (tmp_path, tmp_path / "ecgen-radiology"):
        assert [set(report.present) for report in iu_reports.read_reports(data)] == wanted
        done = CliRunner().invoke(app, ["kg", "eval", str(data), "--json"])
        assert done.exit_code == 0, done.output
        found = json.loads(done.stdout)
        assert found["n"] == 4
        assert found["presence"] == {"precision": 1.0, "recall": 0.8, "f1": pytest.approx(8 / 9), "n": 5}


def test_reports_without_codes_are_refused(tmp_path: Path) -> None:
    (tmp_path / "1.xml").write_text(XML.format("A nodule.", "<major>No Indexing</major>"))
    with pytest.raises(InputError, match="holds no IU report with MeSH codes"):
        iu_reports.read_reports(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("2.xml", b"<eCitation><MedlineCitation>", r"2\.xml is not XML that can be read"),
        ("2.xml", b"\x89PNG\r\n", r"2\.xml is not XML that can be read"),
        ("2.xml", b"", r"2\.xml is not XML that can be read"),
        ("2.xml", b"<?xml version='1.0' encoding='none-such'?><a/>", r"2\.xml is not XML that can be read"),
        (iu_reports.GOLD, b"", "has no column filename: fetch it again"),
        (iu_reports.GOLD, b"filename,Mass\nCXR1,1\n", "has no column [A-Z]"),
        (iu_reports.GOLD, b"\xff\xfe\x00", "cannot be read as a table"),
    ],
)
def test_damaged_files_are_one_sentence(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / "1.xml").write_text(XML.format("A nodule.", "<major>Nodule/lung</major>"))
    assert len(iu_reports.read_reports(tmp_path)) == 1
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        iu_reports.read_reports(tmp_path)


def test_presence_by_the_codes_agrees_with_the_standard(shared_data: Path) -> None:
    by_codes = iu_reports.read_reports(shared_data / "iu_reports" / "ecgen-radiology")
    by_table = iu_reports.read_reports(shared_data / "iu_reports")
    pairs = list(zip(by_codes, by_table, strict=True))
    assert all(one.key == other.key for one, other in pairs)
    assert sum(one.present != other.present for one, other in pairs) <= 5
    assert iu_reports.evaluate(LexiconExtractor(), by_codes)["presence"]["f1"] >= 0.90
