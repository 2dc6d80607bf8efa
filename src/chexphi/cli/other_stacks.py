"""`chexphi swift-plugin` and `chexphi verl-rows`: the rewards in other training stacks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from chexphi import atomic
from chexphi.cli.options import Json, Limit, Out, Overwrite, show
from chexphi.cli.standard_input import input_file, input_root


def swift_plugin() -> None:
    """Print the path of our plugin for ms-swift.

    It has both rewards, for `swift rlhf --external_plugins`.
    """
    from chexphi import integrations

    typer.echo(Path(integrations.__file__).with_name("ms_swift.py"))


def verl_rows(
    data: Annotated[Path, typer.Argument(help="Examples, with answers and reference reasoning, or -.")],
    out: Out,
    image_root: Annotated[
        Path | None, typer.Option("--image-root", help="Folder of the images (default: beside the data).")
    ] = None,
    data_source: Annotated[
        str, typer.Option("--data-source", help="The name under which veRL reports them.")
    ] = "chexphi",
    limit: Limit = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Write examples as the Parquet rows that veRL trains on."""
    from chexphi.data.importers.publish import check_not_source
    from chexphi.data.read import image_root_of, read_examples
    from chexphi.integrations import verl

    verl.check_form(out)
    image_root, data = input_root(data, image_root), input_file(data)
    check_not_source(data, out)
    atomic.check_file(out, overwrite=overwrite)
    examples = read_examples(data, image_root=image_root, limit=limit)
    verl.write_rows(out, examples, image_root_of(data, image_root), data_source=data_source)
    show({"out": str(out), "rows": len(examples)}, as_json=as_json)
