"""A table of your own as a dataset: `python examples/your_dataset.py TABLE.csv TRAIN.json`.

    patient,film,question,reasoning,answer
    p1,p1/a.png,Is there an effusion?,There is a small left pleural effusion.,yes
    p1,p1/b.png,What is seen?,There is a left effusion and a right pneumothorax.,effusion;pneumothorax
    p2,p2/a.png,Is there an effusion?,No pleural effusion is seen.,no

A film is a path below the folder `images` beside TRAIN.json; several labels of an answer are separated by
`;`. `chexphi data check TRAIN.json --rewards external_r1v_acc,external_kg_jac` then tells whether all films
open and whether the rewards pay the references.
"""

import csv
import sys
from pathlib import Path

from chexphi import prompts
from chexphi.data.read import write_examples
from chexphi.schema import Example


def examples_of(table: Path) -> list[Example]:
    """One example for each row of the table."""
    with table.open(encoding="utf-8", newline="") as file:
        return [
            Example(
                id=f"{table.stem}-{number:06d}",  # unique, and says nothing of the patient
                images=(row["film"],),
                question=row["question"],
                answer=tuple(label.strip() for label in row["answer"].split(";")),
                explanation=prompts.render(row["reasoning"], row["answer"].replace(";", ",")),
                subject_id=row["patient"],  # no patient may be in two splits; intervals are clustered by it
            )
            for number, row in enumerate(csv.DictReader(file))
        ]


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python examples/your_dataset.py TABLE.csv TRAIN.json")
    write_examples(Path(sys.argv[2]), examples_of(Path(sys.argv[1])))
