"""SPAQ: 11,125 photos of 66 smartphones, rated for quality and five attributes (Fang et al., CVPR 2020).

Layout, from h4nwei/SPAQ @ 03e2b1c and the loaders of chaofengc/IQA-PyTorch @ 01ae427 (``scripts/process_spaq.py``)::

    Annotations/MOS and Image attribute scores.xlsx     Image name, MOS, Brightness, Colorfulness, Contrast, …: 0–100
    Annotations/Scene category labels.xlsx              optional: Image name, Animal, Cityscape, …; the group
    TestImage/00001.jpg …

No split is published, so no record has one.
"""

from collections.abc import Iterator
from pathlib import Path

from calm.data.record import Record, to_ten
from calm.data.tables import TableSet, number, read_sheet

MOS = "MOS and Image attribute scores.xlsx"
SCENES = "Scene category labels.xlsx"
ATTRIBUTES = {
    "Brightness": "brightness",
    "Colorfulness": "colourfulness",
    "Contrast": "contrast",
    "Noisiness": "noise",
    "Sharpness": "sharpness",
}


class Spaq(TableSet):
    name = "spaq"
    needs = ((f"Annotations/{MOS}", MOS),)
    folders = ("TestImage", "SPAQ/TestImage", "images")

    def rows(self, root: Path) -> Iterator[Record]:
        """Records in the table's order; of several scenes the first is the group."""
        table = self.at(root, *self.needs[0])
        scenes = _scenes(table.parent / SCENES) if (table.parent / SCENES).exists() else {}
        for row in read_sheet(table, ("Image name", "MOS", *ATTRIBUTES)):
            attributes = {name: to_ten(number(row[key], table), 0, 100) for key, name in ATTRIBUTES.items()}
            photo = row["Image name"]
            yield Record(
                photo, to_ten(number(row["MOS"], table), 0, 100), attributes=attributes, group=scenes.get(photo, "")
            )


def _scenes(table: Path) -> dict[str, str]:
    """The first scene that each photo is marked with."""
    found = {}
    for row in read_sheet(table, ("Image name",)):
        marked = [key for key, value in row.items() if key != "Image name" and value and number(value, table) > 0]
        found[row["Image name"]] = marked[0].lower().replace("-", " ") if marked else ""
    return found
