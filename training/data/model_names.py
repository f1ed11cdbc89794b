# ruff: noqa: E501  (tables: many words a line)
"""What the models of sweethome3d-furniture are called by a person, and which of them are not asked for.

A name of the catalogue is said as it is, in lower case, unless SAY has better words or DROP has it; GROUPS puts look-alikes together.
"""

import re
import unicodedata
from functools import lru_cache

# Not things that a person asks for by that name: parts of buildings as holes, markings, abstract or unclear ones.
DROP = """
Oriental rug; Box; Barnum; Rigged fan; Contemporary living room; Kitchen tools; Tool; Flipper; Little bank; Upper corner cabinet; Island extension; Children game; Table with tablecloth;
Plate, glass and cutlery; Plate, glasses and cutlery; Parking slot; Parking slot 45°; Parking slot 60°; Parking slot 75°; Parking slot 90°; Concrete sidewalk; Hôtel; Frame Chambord; Frame Hôi An;
Short; Puff; Trunck; Number lock; Bamboo pole; Double French window small panes; Triple French window; Quadruple French window; Quadruple French window 3 panes; Quadruple French window small panes; Quadruple arched window; Double French window 3 panes;
Turn window; Glass door; Elevator door; Fluorescent strip; Rails; Rail crossing; Arrow straight ahead; Arrow turn right; Arrow turn right and ahead; Pedestrian crossing;
Square double switch; Rounded double switch; Wall double switch; Swimming pool; Rectangle swimming pool; Round swimming pool; Vertical shelves; Porch column; Wood bank
"""

# What the catalogue says = what a person says.
SAY = """
Apple iBook = laptop; Apple iMac 1998 = desktop computer; Apple iMac 2004 = desktop computer; Laptop = laptop; Apple iPhone = mobile phone; Mobile phone = mobile phone; Phone = telephone; Wireless phone = cordless phone
Class seat = school desk; Desk table = desk; Wooden desk = desk; Technical table = drawing table; Wooden alder table = table; Wooden table = table; Wooden teak table = table; Black table = table; Oak table = table; Round table = round table; Glass table = glass table; Rattan table = rattan table; Table on trestles = trestle table
Dustbin = wastebasket; Inkjet printer and scanner = printer; Penbox = pen holder; Text marker = highlighter pen; White board = whiteboard; Tablet = tablet computer; Screen = monitor
Bootie = baby shoe; Mocassin = moccasin; Woman shoes = high-heeled shoes; Cap = baseball cap; Car model = toy car; Card game = deck of cards; Captain's bed = captain's bed; Child bed = child's bed; Iron bed = bed; Convertible sofa BZ = sofa bed; Opened convertible sofa BZ = sofa bed; Crib = crib; Baby bed = crib; Doll house = dollhouse
Hanging clothes = hanging clothes; Helmet = motorcycle helmet; Clothes rack = clothes rack; Sneakers = sneakers; Socket = wall socket; Wood toy = wooden toy; Puzzle = jigsaw puzzle; Biplane = toy biplane; Cupboard = cupboard; Mezzanine bed = loft bed; Watch = watch
Armchair ottoman = ottoman; Bamboo = bamboo plant; Bonsai tree = bonsai tree; Burlap sofa = sofa; Clear sofa = sofa; Couch = sofa; Futon couch = futon; Sofa 2 seats = two-seat sofa; Sofa 3 seats = three-seat sofa; Chair with cushion = chair; Oak chair = chair; Osaka chair = chair; Ryokan chair = floor chair; Children chair = child's chair; Child chair = child's chair; Children table = child's table; Plastic chair = plastic chair; Modern armchair = armchair
Decorative plant = potted plant; Indoor plant = potted plant; Little plant = potted plant; Plant = potted plant; Spathiphyllum = peace lily; Ficus = ficus plant; Yucca = yucca plant; Flowers = vase of flowers; White lily = white lily; Deer = deer statue; Dresser with drawers = chest of drawers; Full bookcase = bookcase; Vertical shelves = shelves; Joystick = game controller; Keyboard = music keyboard; PlayStation = game console; Round carpet = round rug; Oriental rug = rug; TV = television; TV 16:9 = television; Wall flat TV = television; TV remote control = remote control; Television cabinet = tv stand; Winchester armchair = leather armchair; Winchester sofa = leather sofa; Video projector = projector
Apples = bowl of apples; Baby high chair = high chair; Bar chair = bar stool; Bowl with fruits = fruit bowl; Bowl with salad = salad bowl; Bullet trash can = kitchen bin; Cup cake = cupcake; Clothes washing machine = washing machine; Coffee brewer = coffee maker; Coffee cup = coffee cup; Coffee mug = mug; Cup = cup; Coffee press = french press; Cooker = stove; Large stove = stove; Dryer machine = tumble dryer; Drawers cabinet = kitchen drawers; Electronic scale = kitchen scale; Espresso kettle = moka pot; French fries = french fries; Fridge = refrigerator; Large fridge = refrigerator; Glass = glass; Glass door cabinet = glass cabinet; Hood = range hood; Induction cooker 2 zones = cooktop; Induction cooker 4 zones = cooktop; Island = kitchen island; Knife = knife; Knife stand = knife block; Large pan = cooking pot; Lower cabinet = kitchen cabinet; Lower corner cabinet = kitchen cabinet; Small lower cabinet = kitchen cabinet; Small upper cabinet = wall cabinet; Upper cabinet = wall cabinet; Upper shelves cabinet = wall shelves; Milk = milk carton; Mixer = food mixer; Oil servers = oil bottles; Old jar = jar; Oval plate = plate; Pottery = clay pot; Propane stove = camping stove; Shovel = spatula; Small oven = oven; Double oven = oven; Spice tower = spice rack; Squeezer = juicer; Stone grill device = table grill; Sugar = sugar bowl; Utensils pot = utensil holder; Yogurt bottle = yogurt bottle; Roasted chicken = roast chicken; High cabinet = tall cabinet; Boiler = kettle; Creamer = milk jug; Bread = bread
Bath = bathtub; Island bath = bathtub; Corner bathtub = bathtub; Basin = washbasin; Bathmat = bath mat; Clothes basket = laundry basket; Cosmetics pot = cosmetics jar; Flacon = perfume bottle; Lip stick = lipstick; Small lavatory = washbasin; Double vanity = bathroom vanity; Vanity = bathroom vanity; Medicine box = medicine box; Shower head and faucet = shower; Shower stall = shower cabin; Toilets unit = toilet; Toilet paper dispenser = toilet paper holder; Brush = hairbrush; Potty = potty
Classic lamppost = street lamp; Street light = street lamp; Park light = street lamp; Outdoor lamp = hanging lantern; Street lamp = street lamp; Hanging light = pendant lamp; Pendant lamp = pendant lamp; Lamp = lamp; Little lamp = table lamp; Pedestal vase lamp = table lamp; Japanese lantern = paper lantern; Camping lamp = camping lantern; Fluorescent light = fluorescent lamp; Track lights = track lights; Wall lamp artwork = wall lamp; Wall light = wall lamp; Wall spotlight = spotlight; Chandelier lamp = chandelier; Porch light = porch lamp
Acacia = acacia tree; Air conditioning - External unit = air conditioner; Air conditioning - Internal unit = air conditioner; Bended coconut tree = coconut palm; Coconut tree = coconut palm; Blue pine under snow = snowy pine tree; Pine under snow = snowy pine tree; Pine = pine tree; Copper beech = beech tree; Cypress = cypress tree; Japanese maple = maple tree; Sycamore maple = maple tree; Peach blossom = blossoming tree; Poplar = poplar tree; Palm tree = palm tree; Basketball net = basketball hoop; Child hut = playhouse; Child swing = swing; Concrete bench = bench; Painted bench = bench; Entry bell ring = doorbell; Entry speech unit = intercom; Intercom with screen = video intercom; Football goal = football goal; Garden hut = garden shed; High hedge = hedge; Letters box = mailbox; Letter tray = letter tray; Park trashcan = trash bin; Residential trashcan = wheelie bin; Plant box = planter; Flower box = flower box; Pool lounge = sun lounger; Relax chair = deck chair; Sandpit = sandbox; Teck chair = wooden chair; Umbrella = parasol; Beach chair = beach chair; Pedestrian railing = railing; Iron railing = railing; Stone lantern = stone lantern
Bill 10€ = banknote; Bill 20€ = banknote; Bill 50€ = banknote; CCTV = security camera; Surveillance camera = security camera; Ceiling fan = ceiling fan; Chimney = chimney; Round chimney = chimney; Clothes horse = drying rack; Clothes hanger = coat hanger; Wire coathanger = coat hanger; Wall hanger = coat hook; Cone = traffic cone; Cutting pliers = pliers; Dart game = dartboard; Electric water heater = water heater; Gaz water heater = water heater; Emergency sign = emergency exit sign; Extinguisher = fire extinguisher; Fitness tower = weight machine; Abdominal bench = exercise bench; Indoor bike = exercise bike; Football table = foosball table; Hashtray = ashtray; Grinder = angle grinder; Locked locker = locker; Furnace = wood stove; MP3 base = music dock; MP3 station = music dock; Mini stereo = stereo; Stereo amplifier = amplifier; Mower = lawn mower; Punching ball = punching bag; Reflex camera = camera; Small step ladder = step ladder; Table tennis = table tennis table; Table tennis bat = table tennis bat; Tape = adhesive tape; Wood logs = stack of firewood; Open cardboard box = open cardboard box; Keys = keys; Tatami = tatami mat
Rounded RJ45 plug = network socket; Square RJ45 plug = network socket; Wall RJ45 plug = network socket; Rounded antenna plug = antenna socket; Square antenna plug = antenna socket; Wall antenna plug = antenna socket; Rounded dimmer switch = dimmer switch; Square dimmer switch = dimmer switch; Wall dimmer switch = dimmer switch; Rounded switch = light switch; Square switch = light switch; Wall switch = light switch; Wall double socket = wall socket; Wall socket = wall socket
Female = woman; Male = man; Holding female = woman; Holding male = man; Lying down boy = lying boy; Lying down female = lying woman; Lying down male = lying man; Sitting female = sitting woman; Sitting male = sitting man; Mannequin female = mannequin; Mannequin male = mannequin; Siamese cat = cat; Bulldog = bulldog
Bike = bicycle; Chevrolet = car; Concept Sedan 01 = car; Concept Sedan 02 = car; Concept Sedan 02 Sport = car; Ford Focus = car; Fork lift = forklift; Peugeot 308 CC = convertible car; Renault Scenic = car; Seat Leon = car; Smart car = small car; VW new beetle = car; Yamaha YZR R6 = motorcycle; Motorbike = motorcycle; City bus = bus; SUV = suv; Stroller = baby stroller
Double arched window = arched window; Double window 3 panes = window; Double window 4 panes = window; Double window with large pane = window; Double-hung window = sash window; Sliding window = window; Double door = double door; Double door with panes = double door; Exterior door = front door; Screen door = screen door; Window blind = window blind; Window shutter = window shutter
"""

# By a model's file, where the catalogue says the same of different things.
FILES = {
    "shovel": "dustpan",
    "pelle": "shovel",
    "stove": "cooktop",
    "cooker": "rice cooker",
    "propane-stove": "oven",
    "lamp2": "chandelier",
    "chaussette": "sock",
    "basin": "washing-up bowl",
}

# group: words that a name ends with or has. The first group that fits is taken, so narrower ones come first.
GROUPS = """
toy: toy car, toy train, toy biplane, wooden toy, doll, dollhouse, teddy bear, puzzle, cube, xylophone, rocking horse, chessboard, cards, dartboard, snowman
food: hot dog, roast chicken, bread, cake, cupcake, butter, fries, hamburger, hot dog, steak, roast chicken, sushi tray, apples, fruit bowl, salad bowl, milk carton
vehicle: car, bus, truck, van, suv, forklift, convertible, wheelbarrow, rowboat
two wheels: bicycle, bike, motorcycle, scooter, skateboard, tricycle, stroller, wheelchair
sport: ball, basketball, hoop, goal, racket, bat, dumbbell, treadmill, weight machine, exercise, punching bag, trampoline, table tennis, foosball, pool table, swing, seesaw, slide, sandbox, diving board
person: man, woman, boy, girl, mannequin
animal: dog, cat, chicken, horse, rabbit, bulldog
lamp: lamp, lantern, light, lights, chandelier, candle, flashlight, spotlight
switch: switch, socket, plug, intercom, doorbell, detector, thermometer
seating: chair, armchair, stool, sofa, bench, futon, ottoman, seat, lounger, hammock, recliner, couch
bed: bed, crib, futon, hammock, mattress, sleeping bag
kitchen furniture: cabinet, kitchen drawers, kitchen island, island, sink, wall shelves
table: table, desk, workbench, table grill
storage: bookcase, shelves, wardrobe, dresser, drawers, chest, cupboard, stand, cabinet, locker, safe, rack
plant: plant, tree, palm, cactus, flowers, tulips, orchids, lily, hedge, bush, bamboo, bonsai, planter, flower box, bushes
bathroom: bathtub, toilet, bidet, washbasin, urinal, shower, vanity, jacuzzi, potty
appliance: refrigerator, oven, stove, cooktop, washing machine, dryer, microwave, hood, freezer, dishwasher, toaster, blender, mixer, coffee maker, coffee machine, rice cooker, fryer, sandwich maker, kettle, juicer, heater, boiler, conditioner, fan, radiator, wood stove, fireplace, camping stove, cooler
electronics: laptop, computer, phone, television, monitor, printer, camera, radio, stereo, speaker, amplifier, dock, console, projector, controller, tablet computer, player, remote control, headphones, keyboard
music: piano, guitar, xylophone
bottle: bottle, bottles, glass, jar, vase, carton, flask, jug, clay pot
cup: cup, mug, teapot, moka pot, french press, shaker, sugar bowl, ashtray
dish: plate, bowl, washing-up bowl, tray, pot, pan, basket
cutlery: kitchen knife, knife, fork, spoon, spatula, utensil holder, knife block, chopping board, dustpan
tool: hammer, screwdriver, saw, drill, pliers, grinder, tape measure, ladder, mower, shovel, scissors, extinguisher, hose reel, broom
stationery: pencil, pen, ruler, stapler, book, newspaper, calendar, tray, holder, tape, whiteboard, banknote
clothes: shoe, sock, shoes, sneakers, slippers, dress, skirt, jacket, suit, trousers, hat, cap, glove, clothes, hanger, helmet, moccasin, sunglasses, glasses, watch, ring
bag: bag, backpack, suitcase, briefcase, handbag, box, crate, barrel, gift, pallet, container
bin: bin, wastebasket
textile: rug, mat, towel, curtain, carpet, doormat, blind, tatami mat
door: door, window, shutter, elevator, escalator, staircase
road thing: hydrant, mailbox, traffic cone, railing, fence, lamp post, bollard, fountain
"""

STREET = {"Exterior", "Vehicles"}
ANY = {"Characters"}
# Exceptions to the category's place.
PLACES = {
    "street": "street lamp; front door; garage door; fire hydrant; traffic cone; fence; railing; recycling bin; shipping container; security camera; chimney",
    "any": "bench; parasol; wheelchair; bicycle; scooter; skateboard; baby stroller; tricycle; cardboard box; crate; barrel; pallet; suitcase; backpack; step ladder; wheelbarrow; spray bottle; window; sash window; potted plant; lawn mower; cat; dog; basketball; soccer ball; planter; flower box; rock; workbench; mailbox; air conditioner; front door; broom; newspaper; book; umbrella; folding chair; hose reel; camping lantern; flashlight; emergency exit sign",
    "room": "doorbell; intercom; rattan sofa; rattan table; rattan armchair",
}

WALL = {"switch", "door"}  # groups that are seen from the front only


def _table(text):
    pairs = (item.partition("=") for line in text.strip().splitlines() for item in line.split(";") if item.strip())
    return {left.strip(): right.strip() for left, _, right in pairs}


_SAY = _table(SAY)
_DROP = set(_table(DROP))
_GROUPS = {
    line.partition(":")[0].strip(): [w.strip().lower() for w in line.partition(":")[2].split(",")] for line in GROUPS.strip().splitlines()
}
_PLACES = {name.strip(): place for place, names in PLACES.items() for name in names.split(";")}


def group_of(name):
    """The look-alikes a name belongs to: by its last word first, then by any word of it; "thing" if none knows it."""
    lower = name.lower()
    for fits in (lambda word: lower == word or lower.endswith(" " + word), lambda word: re.search(rf"\b{re.escape(word)}\b", lower)):
        for group, words in _GROUPS.items():
            if any(fits(word) for word in words):
                return group
    return "thing"


@lru_cache(maxsize=1)
def _synonyms():
    """{other way to say it: name} of the hand-written catalogue, so that one thing has one name in both."""
    from . import catalogue  # here: the catalogue reads the views of these models

    return {synonym: row[0] for row in catalogue.rows() for synonym in row[1]}


def spoken(raw, category, file):
    """(name, place, group) for a name of the catalogue, or None for one that nobody asks for. file: the model's, without its ending."""
    raw = unicodedata.normalize("NFC", raw).strip()
    if raw in _DROP or raw.lower().startswith(("rounded type", "square type", "wall type")):
        return None
    name = FILES.get(file) or _SAY.get(raw) or raw.lower()
    name = _synonyms().get(name, name)
    place = _PLACES.get(name) or ("street" if category in STREET else "any" if category in ANY else "room")
    return name, place, group_of(name)
