"""Words that mean the same in a radiologist's answer: the tables of `clinical`. Lower case, American.

Terms with two meanings on a chest film (`PE`, `RA`, `PT`) and terms that are only close in meaning
(`collapsed lung`, `enlarged heart`) are left out: with them a policy would earn rewards for vague answers.
"""

from __future__ import annotations

ABBREVIATIONS = {
    # sides and lobes
    "l": "left", "lt": "left", "r": "right", "rt": "right", "bilat": "bilateral",
    "bilaterally": "bilateral", "lll": "left lower lobe", "lul": "left upper lobe",
    "rul": "right upper lobe", "rml": "right middle lobe", "rll": "right lower lobe",
    "cpa": "costophrenic angle", "mid": "middle",
    # findings
    "ptx": "pneumothorax", "pnx": "pneumothorax", "pna": "pneumonia", "ggo": "ground glass opacity",
    "chf": "congestive heart failure", "copd": "chronic obstructive pulmonary disease",
    "ards": "acute respiratory distress syndrome", "ild": "interstitial lung disease", "fx": "fracture",
    "ipf": "idiopathic pulmonary fibrosis", "uip": "usual interstitial pneumonia", "tb": "tuberculosis",
    "spn": "solitary pulmonary nodule", "lvh": "left ventricular hypertrophy", "fb": "foreign body",
    "nsclc": "non small cell lung cancer", "avm": "arteriovenous malformation",
    "ptb": "pulmonary tuberculosis", "wnl": "within normal limits", "mets": "metastasis",
    "ln": "lymph node",
    # devices
    "ett": "endotracheal tube", "ngt": "nasogastric tube", "ogt": "orogastric tube",
    "picc": "peripherally inserted central catheter", "cvc": "central venous catheter",
    "cvl": "central venous catheter", "aicd": "implantable cardioverter defibrillator",
    "icd": "implantable cardioverter defibrillator", "ppm": "permanent pacemaker",
    "iabp": "intra aortic balloon pump", "lvad": "left ventricular assist device",
    "ct": "computed tomography", "mri": "magnetic resonance imaging", "mr": "magnetic resonance imaging",
    "cabg": "coronary artery bypass graft",
    # vessels and measures
    "svc": "superior vena cava", "ivc": "inferior vena cava", "ij": "internal jugular",
    "ijv": "internal jugular vein", "ctr": "cardiothoracic ratio",
    # films and people
    "cxr": "chest xray", "xr": "xray", "xray": "xray", "radiograph": "xray", "roentgenogram": "xray",
    "radiography": "xray", "anteroposterior": "ap", "posteroanterior": "pa", "lat": "lateral",
    "erect": "upright", "man": "male", "woman": "female", "single": "1", "w/o": "without",
    "n/a": "not applicable", "s/p": "status post",
}  # fmt: skip
"""One word -> its meaning; a plural `s` may follow the word."""

PHRASES = {
    "x ray": "xray", "plain film": "xray", "plain radiograph": "xray", "xray xray": "xray",
    "chest film": "chest xray", "antero posterior": "ap", "anterior posterior": "ap",
    "anterior to posterior": "ap", "a p": "ap", "a/p": "ap", "postero anterior": "pa",
    "posterior anterior": "pa", "posterior to anterior": "pa", "p a": "pa", "p/a": "pa",
    "lung base": "base", "lung apex": "apex", "lung zone": "zone", "lung lobe": "lobe",
    "xray chest": "chest xray", "computed tomography chest": "chest computed tomography",
    "b/l": "bilateral", "l/r": "left/right", "left hand": "left", "right hand": "right",
    "left sided": "left", "right sided": "right", "left side": "left", "right side": "right",
    "both side": "bilateral", "both": "bilateral", "bilateral sided": "bilateral",
    "bilateral side": "bilateral", "both sided": "bilateral", "et tube": "endotracheal tube",
    "ng tube": "nasogastric tube", "og tube": "orogastric tube", "catheter line": "catheter",
    "central venous line": "central venous catheter", "central line": "central venous catheter",
    "cp angle": "costophrenic angle", "c t ratio": "cardiothoracic ratio",
    "c/t ratio": "cardiothoracic ratio", "cardio thoracic": "cardiothoracic",
    "computed tomography scan": "computed tomography", "cat scan": "computed tomography",
    "magnetic resonance imaging scan": "magnetic resonance imaging", "groundglass": "ground glass",
    "per cent": "%", "percent": "%", "degree": "°", "↑": "increased", "↓": "decreased", "∅": "no",
    "only 1": "1", "just 1": "1", "exactly 1": "1",
}  # fmt: skip
"""Singular words in a row -> their meaning; applied after `ABBREVIATIONS` and the plurals."""

SINGULAR = {
    "metastases": "metastasis", "diagnoses": "diagnosis", "stenoses": "stenosis", "fibroses": "fibrosis",
    "atelectases": "atelectasis", "bronchiectases": "bronchiectasis", "thromboses": "thrombosis",
    "necroses": "necrosis", "scolioses": "scoliosis", "kyphoses": "kyphosis", "scleroses": "sclerosis",
    "bases": "base", "apices": "apex", "vertebrae": "vertebra", "bullae": "bulla", "pleurae": "pleura",
    "bronchi": "bronchus", "bronchioli": "bronchiolus", "hila": "hilum", "hili": "hilum",
    "hiluses": "hilum", "foci": "focus", "thrombi": "thrombus", "emboli": "embolus", "septa": "septum",
    "septae": "septum", "pneumothoraces": "pneumothorax", "hemothoraces": "hemothorax",
    "thoraces": "thorax", "atria": "atrium", "hydropneumothoraces": "hydropneumothorax",
    "hemithoraces": "hemithorax", "aortae": "aorta", "scapulae": "scapula", "clavicles": "clavicle",
    "fistulae": "fistula", "carinae": "carina", "trabeculae": "trabecula", "calyces": "calyx",
    "axillae": "axilla", "maxillae": "maxilla", "costae": "costa", "adenomata": "adenoma",
    "hematomata": "hematoma", "bacteria": "bacterium", "fungi": "fungus", "diverticula": "diverticulum",
    "ganglia": "ganglion", "lumina": "lumen", "nuclei": "nucleus", "sequelae": "sequela",
    "viscera": "viscus", "men": "man", "women": "woman", "pulmones": "pulmo",
}  # fmt: skip
"""Irregular plurals -> singular."""

SPELLING = {
    "oedema": "edema", "haem": "hem", "aemi": "emi", "tumour": "tumor", "oesoph": "esoph",
    "centre": "center", "fibre": "fiber", "metre": "meter", "litre": "liter", "calibre": "caliber",
    "pnoea": "pnea", "paed": "ped", "caec": "cec", "aetiolog": "etiolog", "faec": "fec", "foet": "fet",
    "colour": "color", "grey": "gray", "localis": "localiz", "generalis": "generaliz",
    "visualis": "visualiz", "anaesth": "anesth", "orthopaed": "orthoped", "coeliac": "celiac",
    "tumor like": "tumorlike",
}  # fmt: skip
"""British spelling in words -> American."""

PREFIXES = (
    "hydro", "pneumo", "hemo", "haemo", "retro", "para", "infra", "supra", "sub", "peri", "non", "micro",
    "extra", "intra", "inter", "cardio", "costo", "hyper", "hypo", "trans", "post", "pre",
)  # fmt: skip
"""Prefixes that a hyphen may follow, as in `hydro-pneumothorax`."""

NUMBERS = {
    "zero": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7",
    "eight": "8", "nine": "9", "ten": "10", "eleven": "11", "twelve": "12", "thirteen": "13",
    "fourteen": "14", "fifteen": "15", "sixteen": "16", "seventeen": "17", "eighteen": "18",
    "nineteen": "19", "twenty": "20", "first": "1st", "second": "2nd", "third": "3rd", "fourth": "4th",
    "fifth": "5th", "sixth": "6th", "seventh": "7th", "eighth": "8th", "ninth": "9th", "tenth": "10th",
    "eleventh": "11th", "twelfth": "12th",
}  # fmt: skip
"""Numbers in words -> in digits."""

UNITS = {
    **dict.fromkeys(("mm", "millimeter"), ("mm", "1")),
    **dict.fromkeys(("cm", "centimeter"), ("mm", "10")),
    **dict.fromkeys(("ml", "milliliter", "cc"), ("ml", "1")),
    "liter": ("ml", "1000"),
}
"""Unit -> the unit that it is converted to, and the factor."""

COMPARISONS = {
    "no more than": "≤", "not more than": "≤", "at most": "≤", "up to": "≤", "no less than": "≥",
    "not less than": "≥", "at least": "≥", "less than": "<", "smaller than": "<", "fewer than": "<",
    "under": "<", "below": "<", "more than": ">", "greater than": ">", "larger than": ">", "over": ">",
    "above": ">", "approximately": "~", "approx": "~", "about": "~", "around": "~", "roughly": "~",
    "minus": "-", "plus or minus": "±",
}  # fmt: skip
"""Words before a number -> their sign."""

SIDES = frozenset(("left", "right", "bilateral"))
ZONES = frozenset(("upper", "middle", "lower"))
LOCATION_WORDS = frozenset((
    *SIDES, *ZONES, "lobe", "lung", "zone", "base", "apex", "hilum", "field", "hemithorax", "hemidiaphragm",
    "chest", "side", "thorax", "costophrenic", "angle", "heart", "lingula", "region",
))  # fmt: skip
"""Words that say where a finding is: `opacity in the left lung base` is `left lung base opacity`."""

VIEWS = frozenset((
    "ap", "pa", "lateral", "frontal", "oblique", "lordotic", "decubitus", "axial", "coronal", "sagittal",
    "upright", "supine",
))  # fmt: skip
OF_A_VIEW = frozenset(("view", "film", "projection", "image", "xray", "chest", "plane"))
"""Words that add nothing to the name of a view."""

ORGANISMS = ("coli", "difficile", "diff", "albicans", "faecalis", "pneumoniae")
"""A letter before one of these words abbreviates a name and is not an option, as in `E. coli`."""
