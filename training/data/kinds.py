"""What kind of thing a thing is: an eagle is a bird, keys answer to "key". A question for either is no negative for the other.

Without it a vocabulary as wide as the catalogue's teaches that an eagle is no bird. A kind need not be a name of the catalogue ("boat"): it
is then asked for through its members alone. A kind that is a held-out name ("monkey") is never asked for (captions.py).
"""

from functools import cache

# kind: members. A member answers to the kind, not the other way round.
KINDS = """
bird: eagle, parrot, peacock, albino peahen, macaw, flamingo, pink flamingo, swan, goose, gander, dove, pigeon, crow, cormorant
bird: ostrich, rhea
bird: crowned crane, vulture, seagull, puffin, turkey, rooster, chick, baby chick, hatching chick, guinea fowl, bluebird, dodo, penguin
bird: helmeted guinea fowl, front-facing baby chick
dog: poodle, beagle, bulldog, dingo
cat: white kitten, black cat
fish: clownfish, goldfish, dolphinfish, stripey fish, coral trout, moon wrasse, blowfish, poisonous lionfish, shark
rabbit: bunny, floppy-eared bunny
deer: doe, caribou, moose, wapiti, red-nosed reindeer
sheep: ram
cow: ox, bull, zebu, yak, water buffalo
pig: boar
monkey: chimpanzee, gorilla, orangutan, emperor tamarin
whale: orca, beluga, narwhal
bug: ant, bee, honeybee, beetle, ladybug, cockroach, cricket, grasshopper, mantis, woodlouse, hornet, fly, mosquito, spider, xanthia
bee: hornet
beetle: ladybug
dragonfly: damselfly
lizard: iguana
dinosaur: tyrannosaurus
squirrel: chipmunk
lobster: spiny lobster, crawfish
flower: rose, sunflower, tulip, tulips, hibiscus, hibiscus flower, daffodil, daisy, geranium, hyacinth, iris, lotus, magnolia
flower: marigold, orchids
flower: poppy, cherry blossom, blossom, white lily, peace lily, white star petunia, red gazania, purple pigface flower
flower: wilted flower, bouquet
tree: acacia tree, beech tree, birch at winter, blossoming tree, bonsai tree, christmas tree, coconut palm, deciduous tree, evergreen tree
tree: holm oak, maple tree, palm tree, pine tree, poplar tree, snowy pine tree, cypress tree
palm tree: coconut palm
potted plant: ficus plant, spider plant, yucca plant, succulent plant, peace lily, bamboo plant, planter, flower box, bonsai tree
mushroom: cep, red headed cep, brown champignon
boat: sailboat, sail boat, rowboat, motor boat, speedboat, canoe, ferry, tugboat, walnut sailboat, ship, passenger ship
ship: ferry, tugboat
truck: articulated lorry, dumper
car: race car, racing car, sports car, convertible car, suv
bus: minibus, trolleybus
train: high-speed train with bullet nose, diesel locomotive, steam locomotive, white locomotive, monorail, mountain railway
train: passenger carriage
train: railway car, caboose, tram, tram car, suspension railway
locomotive: steam locomotive, diesel locomotive, white locomotive
bicycle: cargo bike
airplane: toy biplane
wheel: tire
tire: wheel, tractor wheel, bicycle wheel
tractor wheel: wheel, tire
tent: circus tent, medieval tent, tepee
house: hut, house with garden, derelict house building
chair: armchair
sofa: futon
stool: bar stool
table: desk, workbench
cabinet: kitchen cabinet, sink cabinet, wall cabinet, tall cabinet, glass cabinet, filing cabinet, file cabinet, cupboard
shelves: wall shelves, bookcase
lamp: chandelier, spotlight, track lights, camping lantern
lantern: camping lantern, hanging lantern, stone lantern, paper lantern
mug: clinking beer mugs
glass: clinking glasses, cocktail glass
wine glass: clinking glasses
beer mug: clinking beer mugs, beer
beer: beer mug, clinking beer mugs
bottle: sake bottle and cup, bottle with popping cork, oil bottles, honey
bowl: bowl of apples, steaming bowl
knife: fork and knife, dagger
fork: fork and knife
shoe: ballet shoes, high-heeled shoes, sneakers, tennis shoe, boot, slippers, crocs, sandal, thong sandal, moccasin, baby shoe
hat: baseball cap, cowboy hat, sombrero, toque, graduation cap
glasses: sunglasses, dark sunglasses, goggles
gloves: gardening gloves, medical gloves, boxing glove
pants: jeans
coat: jacket
jacket: coat
t-shirt: polo shirt, folded shirt
dress: top and skirt
handbag: shopping bags
package: open cardboard box
book: books, open book, ledger
pen: fountain pen, highlighter pen, highlighting pen, dry erase marker
pushpin: thumbtack
shovel: spade, garden spade, trowel
hammer: hammer and pick, hammer and wrench
wrench: hammer and wrench
pick: hammer and pick
sword: crossed swords
telephone: phone, telephone receiver
phone: telephone, cordless phone
monitor: lcd monitor, crt monitor
trash bin: recycling bin
wastebasket: kitchen bin
camera: digital camera, movie camera, camcorder, webcam
piano: grand piano, upright piano
clock: stopwatch, timer clock
ball: american football, baseball, softball, volleyball, beachball
medal: first place medal, second place medal, third place medal, military medal, sports medal
heart: red heart, black heart, brown heart, green heart, orange heart, purple heart, white heart, yellow heart, blue heart
pepper: hot pepper, cayenne pepper, chile pepper
orange: sliced orange
lemon: lemon slice
pumpkin: jack-o'-lantern
bread: bagel, flatbread
cake: cupcake, shortcake
coffee: latte macchiato
mug: coffee
milk carton: milk
lettuce: leafy green, green salad
salt shaker: salt mill
window: sash window
flag: triangular flag, chequered flag, pirate flag
person: boy, girl, man, woman, lying boy, lying man, lying woman, sitting boy, sitting girl, sitting man, sitting woman
man: sitting man, lying man
doll: japanese dolls, nesting dolls
statue: statue of liberty, stone head
leaf: four leaf clover, shamrock
guitar: bass guitar
drum: drum kit
lamp: diya lamp
baseball: softball
softball: baseball
ribbon: bow
bow: ribbon
"""

# Names of one thing, or of things that nobody would tell apart in a picture.
SAME = """
jack-o'-lantern = jack-o-lantern; sailboat = sail boat; race car = racing car; open padlock = open lock; key = keys; rabbit = bunny
gravestone = headstone = tombstone = grave marker = cemetery marker; kiwi fruit = kiwifruit; hot pepper = chile pepper = cayenne pepper
pants = trousers; sunglasses = dark sunglasses; glove = gloves; sock = socks; high-heeled shoe = high-heeled shoes; sneakers = tennis shoe
tablet = tablet computer; music keyboard = musical keyboard; speaker = loudspeaker; video camera = movie camera = camcorder
compact disc = dvd = mini disc; tennis racket = tennis racquet and ball; sled = sledge; garlic = garlic bulb; potato = brown potato
avocado = avocado fruit; pancake = pancakes; coffee maker = coffee machine = drip coffee maker; mailbox = postbox; crutch = crutches
gift = wrapped gift; spade = garden spade; file cabinet = filing cabinet; dromedary = dromedary camel; camel = bactrian camel = dromedary
flamingo = pink flamingo; chick = baby chick = front-facing baby chick; guinea fowl = helmeted guinea fowl; bee = honeybee
hibiscus = hibiscus flower; tulip = tulips; four leaf clover = shamrock; highlighter pen = highlighting pen
"""


@cache
def _wider():
    found = {}
    for line in KINDS.strip().splitlines():
        kind, _, members = line.partition(":")
        for member in members.split(","):
            found.setdefault(member.strip(), []).append(kind)
    for group in (part.strip() for part in SAME.replace("\n", ";").split(";")):
        names = [name.strip() for name in group.split("=") if name.strip()]
        for name in names:
            found.setdefault(name, []).extend(other for other in names if other != name)
    return {name: tuple(dict.fromkeys(kinds)) for name, kinds in found.items()}


def of(name):
    """The kinds that a thing of this name answers to, beside its name: of("eagle") is ("bird",)."""
    return _wider().get(name, ())
