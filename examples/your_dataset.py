"""A table of your own as a dataset: `python examples/your_dataset.py TABLE.csv TRAIN.json`.

The table has the columns patient, film, question, reasoning and answer. A film is a path below the folder
`images` beside TRAIN.json; several labels of an answer are separated by `;`. `chexphi data check TRAIN.json`
tells whether all films open and whether the rewards pay the references.
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
    write_examples(Path(sys.argv[2]), examples_of(Path(sys.argv[1])))
