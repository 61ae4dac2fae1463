"""ADE20K's scene-parsing benchmark, ADEChallengeData2016: 150 classes, images and label PNGs in two splits.

Layout: ``images/{training,validation}/ADE_{train,val}_<8 digits>.jpg`` and ``annotations/...`` with PNGs of the same
stem, whose values are 0 (no class) and 1 to 150. Source: github.com/CSAILVision/sceneparsing.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from opendas_plugin.errors import MissingFileError
from opendas_plugin.label_values import LabelValues
from opendas_plugin.readers.folders import Regions, label_maps
from opendas_plugin.readers.reader import Context, Dataset, Reader, Sighting, Split

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


@dataclass(frozen=True, kw_only=True)
class Ade20k:
    """ADE20K's scene-parsing benchmark, ADEChallengeData2016: 150 classes, its training and validation images."""

    root: Path
    """ADEChallengeData2016, or a folder of images and annotations without splits."""
    regions: Regions = "class"
    """One segment for all pixels of a class in an image, or one for each connected component."""


def has_splits(options: Ade20k) -> bool:
    """Whether the images lie in two splits; the toolbox's samples do not."""
    return (options.root / "images" / "training").is_dir()


def read(options: Ade20k, context: Context) -> Dataset:
    """The training and the validation split, or all images of a folder without splits.

    Raises:
        MissingFileError, DataError: as :func:`~opendas_plugin.readers.folders.label_maps`.
    """
    images, annotations = options.root / "images", options.root / "annotations"
    if not images.is_dir() or not annotations.is_dir():
        raise MissingFileError(f"{options.root} has no images and annotations; give the folder ADEChallengeData2016")
    values = LabelValues.places(len(NAMES), first=1, ignored=(OTHER,))

    def split(part: str) -> Split[str]:
        return label_maps(
            images / part,
            annotations / part,
            NAMES,
            values,
            regions=options.regions,
            min_area=context.min_area,
            group_by="image",
            exif=context.exif,
        )

    raw_names = {names[0]: ", ".join(names) for names in SYNONYMS if len(names) > 1}
    if not has_splits(options):
        return Dataset(NAMES, split(""), raw_names=raw_names, values=values)
    return Dataset(NAMES, split("training"), split("validation"), raw_names, values=values)


def look(folder: Path) -> Sighting | None:
    """Images beside annotations, with ADE20K's file names, or its folders training and validation."""
    for path in (folder / "annotations").glob("**/ADE_*.png"):
        if (folder / "images").is_dir():
            name = path.relative_to(folder).as_posix()
            return Sighting(f"images lies beside annotations with ADE20K's PNGs, such as {name}", {"root": folder}, 9)
    return None


READER = Reader(
    "ade20k",
    Ade20k,
    read,
    own_validation=has_splits,
    look=look,
    looks_for="ADE20K's annotations/**/ADE_*.png",
)
