"""The word list that related names are looked up in when no language model is asked."""

from __future__ import annotations

from opendas_plugin.names import fold_name

SCENE_NAMES = """
person, rider, bicycle, motorcycle, car, van, bus, truck, train, tram, caravan, trailer, boat, ship, airplane,
road, sidewalk, pavement, crosswalk, parking lot, driveway, path, runway, railroad, bridge, tunnel, pier, platform,
building, house, skyscraper, tower, garage, hovel, tent, booth, grandstand, awning, canopy, roof, chimney,
fence, gate, railing, banister, guard rail, wall, brick wall, stone wall, tiled wall, column, pole, street light,
traffic light, traffic sign, stop sign, signboard, bulletin board, banner, flag, poster, painting, picture frame,
parking meter, fire hydrant, trash can, mailbox, vending machine, bench, fountain, sculpture, barrel,
sky, sea, river, lake, waterfall, swimming pool, mountain, hill, rock, sand, gravel, earth, grass, field, vegetation,
tree, palm tree, plant, potted plant, flower, snow, dirt,
floor, wooden floor, ceiling, stairs, step, escalator, elevator, door, door frame, screen door, window, window blind,
windowpane, curtain, shower curtain, fireplace, radiator, air conditioner, fan, chandelier, lamp, ceiling light,
light switch, wall outlet, sconce, mirror, rug, blanket, pillow, cushion, towel, clothes, paper, cardboard, box, net,
chair, armchair, office chair, swivel chair, stool, sofa, ottoman, bed, cradle, table, dining table, coffee table,
desk, pool table, counter, countertop, kitchen island, bar, buffet, cabinet, filing cabinet, wardrobe, chest of drawers,
bookcase, shelf, display case, whiteboard, blackboard, projection screen,
computer, computer tower, monitor, television, laptop, keyboard, computer mouse, remote control, cell phone, telephone,
printer, projector, headphones, arcade machine, conveyor belt,
sink, toilet, bathtub, shower, hair drier, toothbrush, stove, oven, microwave, toaster, range hood, refrigerator,
dishwasher, washing machine, coffee machine, kettle,
bottle, glass, wine glass, cup, mug, fork, knife, spoon, plate, bowl, pot, tray, vase, basket, bag, handbag, backpack,
suitcase, umbrella, tie, book, clock, scissors, pen, paper tray, coat rack, fire extinguisher, teddy bear, toy, ball,
frisbee, skis, snowboard, kite, baseball bat, baseball glove, skateboard, surfboard, tennis racket, guitar, globe,
banana, apple, orange, fruit, broccoli, carrot, sandwich, hot dog, pizza, donut, cake, food,
bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe
"""
"""Names of the scene datasets (ADE20K, COCO panoptic, street and office scans), one spelling each."""


def word_list() -> tuple[str, ...]:
    """ImageNet's and the scene datasets' names, each once (after case, plural and article folding)."""
    from open_clip import IMAGENET_CLASSNAMES

    names = [name.strip() for name in SCENE_NAMES.split(",")]
    return tuple({fold_name(name): name for name in [*names, *IMAGENET_CLASSNAMES]}.values())
