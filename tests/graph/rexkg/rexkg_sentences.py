"""Sentences that the tests of the neural extractor share."""

SENTENCES = (
    "The heart is enlarged",
    "There is a small left pleural effusion",
    "No mass in the right lung",
    "A 1.5 x 2 cm nodule in the left lung",
    "Mild edema",
    "Opacity, left; no pneumothorax",
    "Is there a small mass in the lung",
    "Pleural effusion / edema (mild) in the right-left lung",
    "a",
    "Qqq zzz 心 \u200b mass",
)
