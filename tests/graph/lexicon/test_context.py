"""Denial and doubt: a table of hard cases, written for this test. `-` absent, `+` present, `?` in doubt."""

from __future__ import annotations

import pytest

from chexphi.graph.lexicon.extractor import LexiconExtractor

CASES = """
No pleural effusion. | effusion-
No effusion or pneumothorax. | effusion- pneumothorax-
No effusion, pneumothorax or consolidation. | effusion- pneumothorax- consolidation-
There is no effusion and no pneumothorax. | effusion- pneumothorax-
There is no effusion but a small pneumothorax. | effusion- pneumothorax+
There is no effusion, but there is a nodule. | effusion- nodule+
No effusion, although a nodule is seen. | effusion- nodule+
No effusion; atelectasis is seen at the left base. | effusion- atelectasis+
No pneumothorax is seen, and the edema has increased. | pneumothorax- edema+
Without evidence of consolidation. | consolidation-
The lungs are clear without effusion or edema. | effusion- edema-
Neither effusion nor pneumothorax is seen. | effusion- pneumothorax-
There is neither a nodule nor a mass. | nodule- mass-
The lungs are free of consolidation. | consolidation-
The lungs are free from edema. | edema-
The lungs are clear of infiltrates. | infiltrates-
Both lungs are devoid of nodules. | nodules-
Negative for pneumonia. | pneumonia-
The study is negative for pneumothorax and effusion. | pneumothorax- effusion-
There is absence of effusion. | effusion-
Lack of edema argues against failure. | edema-
The film fails to show a fracture. | fracture-
The radiograph failed to demonstrate any consolidation. | consolidation-
I do not see a pneumothorax. | pneumothorax-
We cannot identify a nodule on this film. | nodule-
The image does not show an effusion. | effusion-
This does not demonstrate pneumonia. | pneumonia-
An effusion is not seen. | effusion-
An effusion is not clearly seen. | effusion-
A discrete nodule is not definitely identified. | nodule-
Pneumothorax is not visualised. | pneumothorax-
No definite pneumothorax. | pneumothorax-
No obvious fracture is noted. | fracture-
No significant effusion. | effusion-
No new consolidation. | consolidation-
No residual pneumothorax. | pneumothorax-
No large effusion or mass. | effusion- mass-
No radiographic evidence of acute disease. | disease-
There is nothing to suggest pneumonia. | pneumonia-
Nothing on this film points to edema. | edema-
Never has there been a nodule. | nodule-
None of the nodules is seen. | nodules-
I looked for an effusion and found none. | effusion-
The effusion is absent. | effusion-
The pneumothorax has resolved. | pneumothorax-
The pneumothorax has completely resolved. | pneumothorax-
The pneumothorax has now resolved. | pneumothorax-
The effusions have resolved. | effusions-
The edema has cleared. | edema-
The consolidation has disappeared. | consolidation-
The opacity is gone. | opacity-
The effusion is resolved. | effusion-
Resolved effusion. | effusion-
Interval resolution of the pneumothorax. | pneumothorax-
Complete resolution of the edema. | edema-
There has been complete clearing of the consolidation. | consolidation-
The effusion is no longer seen. | effusion-
The pneumothorax is no longer visible. | pneumothorax-
The right nodule is no longer clearly identified. | nodule-
The film no longer shows an effusion. | effusion-
Previously seen opacity is no longer present. | opacity-
The pneumothorax has not resolved. | pneumothorax+
The effusion has not completely resolved. | effusion+
The edema has partially resolved. | edema+
The edema has nearly cleared. | edema+
Near complete resolution of the effusion. | effusion+
Partial resolution of the pneumothorax. | pneumothorax+
The resolving pneumonia is again seen. | pneumonia+
Improving edema. | edema+
Decreased effusion. | effusion+
The effusion has decreased. | effusion+
No change in the effusion. | effusion+
No significant change in the left effusion. | effusion+
No interval change in the size of the nodule. | nodule+
No significant interval change in pulmonary edema. | edema+
No increase in the pneumothorax. | pneumothorax+
There is no progression of the consolidation. | consolidation+
No worsening of edema. | edema+
Effusion without change. | effusion+
Effusion without significant interval change. | effusion+
The effusion is not changed. | effusion+
The effusion has not significantly changed. | effusion+
The nodule is unchanged. | nodule+
Unchanged effusion, no pneumothorax. | effusion+ pneumothorax-
Stable nodule without effusion. | nodule+ effusion-
There is no doubt about the fracture. | fracture+
Not only an effusion but also a mass is seen. | effusion+ mass+
The lungs are not free of edema. | edema+
The film is not negative for pneumonia. | pneumonia+
The patient is not without effusion. | effusion+
An effusion cannot be excluded. | effusion?
A small pneumothorax can not be excluded. | pneumothorax?
Pneumonia cannot be entirely excluded. | pneumonia?
Pneumonia cannot be ruled out. | pneumonia?
Pneumonia is not excluded. | pneumonia?
Cannot exclude pneumonia. | pneumonia?
This does not exclude pneumonia. | pneumonia?
We cannot rule out a small effusion. | effusion?
Possible pneumonia. | pneumonia?
Possible small left effusion. | effusion?
Probable atelectasis. | atelectasis+
Likely atelectasis at the base. | atelectasis+
The opacity likely represents pneumonia. | opacity+ pneumonia+
The opacity may represent atelectasis or pneumonia. | opacity+ atelectasis? pneumonia?
The opacity could reflect aspiration. | opacity+ aspiration?
The opacity might be a mass. | opacity+ mass?
Opacity, possibly pneumonia. | opacity+ pneumonia?
Opacity suspicious for malignancy. | opacity+ malignancy?
Opacity concerning for pneumonia. | opacity+ pneumonia?
Findings are worrisome for edema. | edema?
There is a question of a nodule. | nodule?
Questionable nodule in the right lung. | nodule?
Pneumonia is possible. | pneumonia?
Edema is suspected. | edema?
Pneumonia is unlikely. | pneumonia?
Pneumonia is less likely. | pneumonia?
Atelectasis versus pneumonia. | atelectasis+ pneumonia?
The opacity suggests consolidation. | opacity+ consolidation+
Blunting suggestive of an effusion. | blunting+ effusion+
Further imaging is advised to exclude a fracture. | fracture?
Evaluate for pneumothorax. | pneumothorax?
It is unclear whether there is a nodule. | nodule?
No suspicious nodule. | nodule-
No evidence of possible pneumonia. | pneumonia-
No nodule is suspected. | nodule-
No pneumothorax, possible small effusion. | pneumothorax- effusion?
There is no effusion, and there may be a nodule. | effusion- nodule?
Small effusion, no pneumothorax, likely atelectasis. | effusion+ pneumothorax- atelectasis+
The heart is enlarged, without edema. | edema-
The heart is enlarged with edema but without effusion. | edema+ effusion-
Effusion rather than consolidation. | effusion+ consolidation-
Atelectasis instead of pneumonia. | atelectasis+ pneumonia-
The opacity is atelectasis, not pneumonia. | atelectasis+ pneumonia-
This is not pneumonia but atelectasis. | pneumonia- atelectasis+
There is not a pneumothorax. | pneumothorax-
There are not any nodules. | nodules-
A chest tube is present, and there is no pneumothorax. | pneumothorax- tube+
The endotracheal tube has been removed. | tube-
The chest tube was removed. | tube-
Removal of the chest tube with a small residual pneumothorax. | tube- pneumothorax+
Interval removal of the catheter. | catheter-
The catheter has not been removed. | catheter+
No catheter is seen. | catheter-
No pacemaker or central line. | pacemaker- line-
The pneumothorax has been ruled out. | pneumothorax-
Pneumothorax has been excluded. | pneumothorax-
The patient denies pain but has edema. | pain- edema+
The effusion was not present on the prior film. | effusion+
The nodule was not seen previously. | nodule+
No, there is an effusion. | effusion+
No, the effusion is small. | effusion+
Yes, there is no effusion. | effusion-
The nodule seen before is not evident on this film. | nodule-
Apart from a small effusion, no abnormality is seen. | effusion+ abnormality-
No abnormality except a small effusion. | abnormality- effusion+
No abnormality other than mild edema. | abnormality- edema+
No acute abnormality with the exception of atelectasis. | abnormality- atelectasis+
There is no effusion because the fluid has been drained. | effusion-
There is no pneumothorax, stable effusion. | pneumothorax- effusion+
No pneumothorax, unchanged bibasilar atelectasis. | pneumothorax- atelectasis+
Clear lungs, no nodule, mass, or effusion identified. | nodule- mass- effusion-
No evidence for pneumonia, edema, or pneumothorax is present. | pneumonia- edema- pneumothorax-
Edema is present, effusion is not. | edema+
The costophrenic angles are sharp, so there is no effusion. | effusion-
While there is no mass, there is a nodule. | mass- nodule+
There is a nodule, whereas no mass is found. | nodule+ mass-
No focal consolidation is seen, however edema is present. | consolidation- edema+
If there is pneumonia, it is small. | pneumonia?
Cardiomegaly without failure. | cardiomegaly+ failure-
Old healed fracture, no acute fracture. | fracture+ fracture-
No effusion on the left, effusion on the right. | effusion- effusion+
No left effusion. Right effusion is present. | effusion- effusion+
The right effusion has resolved, the left effusion persists. | effusion- effusion+
The right effusion has resolved and there is a new left effusion. | effusion- effusion+
"""
MARKS = {"-": ("notpresent", False), "+": ("present", False), "?": ("present", True)}


def rows() -> list[tuple[str, list[str]]]:
    lines = (line.split(" | ") for line in CASES.strip().splitlines())
    return [(sentence, expected.split()) for sentence, expected in lines]


@pytest.mark.parametrize(("sentence", "expected"), rows())
def test_what_is_said_of_each_finding(sentence: str, expected: list[str]) -> None:
    (parse,) = LexiconExtractor().parse([sentence])
    found = {
        (mention.text.split()[-1], mention.label.split("_")[1], mention.uncertain)
        for mention in parse.mentions
        if mention.label.startswith(("disorder", "devices"))
    }
    words = {word[:-1] for word in expected}
    assert {item for item in found if item[0] in words} == {(w[:-1], *MARKS[w[-1]]) for w in expected}


def test_the_table_is_large_enough() -> None:
    assert len(rows()) >= 150
