"""ADE20K's scene-parsing benchmark, ADEChallengeData2016: 150 classes, images and label PNGs in two splits.

Layout: ``images/{training,validation}/ADE_{train,val}_<8 digits>.jpg`` and ``annotations/...`` with PNGs of the same
stem, whose values are 0 (no class) and 1 to 150. Source: github.com/CSAILVision/sceneparsing.
"""

from __future__ import annotations

from pathlib import Path

from opendas_plugin.data.reading import Reading
from opendas_plugin.errors import MissingFileError
from opendas_plugin.readers.folders import Regions, read_folders

_OBJECT_INFO = """
wall
building, edifice
sky
floor, flooring
tree
ceiling
road, route
bed
windowpane, window
grass
cabinet
sidewalk, pavement
person, individual, someone, somebody, mortal, soul
earth, ground
door, double door
table
mountain, mount
plant, flora, plant life
curtain, drape, drapery, mantle, pall
chair
car, auto, automobile, machine, motorcar
water
painting, picture
sofa, couch, lounge
shelf
house
sea
mirror
rug, carpet, carpeting
field
armchair
seat
fence, fencing
desk
rock, stone
wardrobe, closet, press
lamp
bathtub, bathing tub, bath, tub
railing, rail
cushion
base, pedestal, stand
box
column, pillar
signboard, sign
chest of drawers, chest, bureau, dresser
counter
sand
sink
skyscraper
fireplace, hearth, open fireplace
refrigerator, icebox
grandstand, covered stand
path
stairs, steps
runway
case, display case, showcase, vitrine
pool table, billiard table, snooker table
pillow
screen door, screen
stairway, staircase
river
bridge, span
bookcase
blind, screen
coffee table, cocktail table
toilet, can, commode, crapper, pot, potty, stool, throne
flower
book
hill
bench
countertop
stove, kitchen stove, range, kitchen range, cooking stove
palm, palm tree
kitchen island
computer, computing machine, computing device, data processor, electronic computer, information processing system
swivel chair
boat
bar
arcade machine
hovel, hut, hutch, shack, shanty
bus, autobus, coach, charabanc, double-decker, jitney, motorbus, motorcoach, omnibus, passenger vehicle
towel
light, light source
truck, motortruck
tower
chandelier, pendant, pendent
awning, sunshade, sunblind
streetlight, street lamp
booth, cubicle, stall, kiosk
television, television receiver, television set, tv, tv set, idiot box, boob tube, telly, goggle box
airplane, aeroplane, plane
dirt track
apparel, wearing apparel, dress, clothes
pole
land, ground, soil
bannister, banister, balustrade, balusters, handrail
escalator, moving staircase, moving stairway
ottoman, pouf, pouffe, puff, hassock
bottle
buffet, counter, sideboard
poster, posting, placard, notice, bill, card
stage
van
ship
fountain
conveyer belt, conveyor belt, conveyer, conveyor, transporter
canopy
washer, automatic washer, washing machine
plaything, toy
swimming pool, swimming bath, natatorium
stool
barrel, cask
basket, handbasket
waterfall, falls
tent, collapsible shelter
bag
minibike, motorbike
cradle
oven
ball
food, solid food
step, stair
tank, storage tank
trade name, brand name, brand, marque
microwave, microwave oven
pot, flowerpot
animal, animate being, beast, brute, creature, fauna
bicycle, bike, wheel, cycle
lake
dishwasher, dish washer, dishwashing machine
screen, silver screen, projection screen
blanket, cover
sculpture
hood, exhaust hood
sconce
vase
traffic light, traffic signal, stoplight
tray
ashcan, trash can, garbage can, wastebin, ash bin, ash-bin, ashbin, dustbin, trash barrel, trash bin
fan
pier, wharf, wharfage, dock
crt screen
plate
monitor, monitoring device
bulletin board, notice board
shower
radiator
glass, drinking glass
clock
flag
"""

SYNONYMS: tuple[tuple[str, ...], ...] = tuple(
    tuple(name.strip() for name in line.split(",")) for line in _OBJECT_INFO.strip().splitlines()
)
"""The names of each class in the order of the label values 1 to 150, the class's own first (objectInfo150.txt)."""

NAMES = tuple(names[0] for names in SYNONYMS)
"""The 150 class names."""

OTHER = 0


def read_ade20k(
    root: Path, *, regions: Regions = "class", min_area: int = 100, workers: int = 2, journal: Path | None = None
) -> tuple[Reading, Reading | None]:
    """Reads the training and the validation split.

    Args:
        root: ADEChallengeData2016, or a folder whose ``images`` and ``annotations`` have no splits inside, such as the
            toolbox's samples; then there is no validation part.
        regions, min_area, workers, journal: see :func:`~opendas_plugin.readers.folders.read_folders`; the journals of
            the two splits are files in the folder ``journal``.

    Raises:
        MissingFileError, DataError: as :func:`~opendas_plugin.readers.folders.read_folders`.
    """
    images, annotations = root / "images", root / "annotations"
    if not images.is_dir() or not annotations.is_dir():
        raise MissingFileError(f"{root} has no images and annotations; give the folder ADEChallengeData2016")

    def read(split: str) -> Reading:
        found = read_folders(
            images / split,
            annotations / split,
            ("other", *NAMES),
            ignore=(OTHER,),
            regions=regions,
            min_area=min_area,
            group_by="image",
            workers=workers,
            journal=None if journal is None else journal / f"{split or 'all'}.jsonl",
        )
        raw = {names[0]: ", ".join(names) for names in SYNONYMS if len(names) > 1}
        return Reading(NAMES, found.images, raw, found.unlabelled)

    if not (images / "training").is_dir():
        return read(""), None
    return read("training"), read("validation")
