# ruff: noqa: E501  (a table: one photograph or thing a line)
"""The table of real photographs for the `real` test split: which files, and what is where in them.

A photograph's line is `collection:path | names that are in it without a box; ...`; the things in it follow, indented:
`name; other ways to say it; ... | x1 y1 x2 y2` in px of the photograph, further boxes of the same name after a comma. A line `* labelme`
takes the boxes of labelme's own JSON, with the words of LABELME. `@ 1000` says that the boxes below are for the photograph made 1000 px high.

All other boxes were read off the pictures by eye under a grid of 50 or 100 px, to within about 5 px.
"""

LABELME = {  # labelme's label (its own misspelling too): our names
    "person": ("person", "human"),
    "bus": ("bus", "old bus"),
    "car": ("car", "automobile"),
    "track": ("truck", "lorry"),
    "bottle": ("bottle", "bottle of drink"),
    "chair": ("armchair", "sofa", "yellow armchair"),
    "sofa": ("sofa", "couch"),
    "kong_air_dog_squeakair_tennis_ball": ("dog toy", "toy with a tennis ball"),
    "mead_index_cards": ("pack of index cards", "index cards"),
    "highland_6539_self_stick_notes": ("box of sticky notes", "yellow box", "sign that says HIGHLAND"),
}

PHOTOS = """
labelme:video_annotation/data_annotated/00000100.jpg | tree; building; house; window; street lamp; door; fence; sign; road; bench; parking sign; umbrella; person; shoe
  * labelme
labelme:video_annotation/data_annotated/00000102.jpg | tree; building; house; window; street lamp; door; fence; sign; road; bench; parking sign; person; shoe
  * labelme
  umbrella; black umbrella | 0 118 131 216
labelme:video_annotation/data_annotated/00000104.jpg | tree; building; house; window; street lamp; door; fence; sign; road; bench; parking sign; person; shoe
  * labelme
  umbrella; black umbrella | 0 119 155 218
labelme:bbox_detection/data_annotated/2011_000003.jpg | stool; fire; pot; pan; table; shoe; house; fence; cucumber; cup; glass; basket; bag; spoon; saucer; plate; bowl; wooden table; helmet
  * labelme
  kettle; black kettle | 91 200 158 256
  hat; black cap; black hat | 222 115 266 150
  bottle; bottle of drink | 368 160 388 213
  watch; wristwatch | 465 220 481 234
  bowls of food; dishes with food | 311 272 394 335
labelme:instance_segmentation/data_annotated/2011_000006.jpg | table; window; door; mirror; house; jacket; hoodie; shoe
  * labelme
labelme:bbox_detection/data_annotated/2011_000025.jpg | tree; building; house; window; headlight; mirror; van; sign
  * labelme
  license plate; number plate | 219 309 294 328
  text LEYLAND; the word LEYLAND | 181 153 331 180
labelme:classification/data_annotated/0001.jpg |
  cat; kitten; tabby cat | 81 38 591 442
labelme:classification/data_annotated/0002.jpg |
  dog; black dog | 232 38 640 480
labelme:tutorial/apc2016_obj3.jpg | shelf; book; can; box; table; bag
  * labelme
  tennis ball; yellow ball; ball | 508 234 625 344
opencv:text/scenetext01.jpg | tree; building; house; window; hedge; bush; pole; sign; newspaper; road; bag
  notice sign; sign on a pole; sign that says NOTICE; sign that says DOUBLE PARKING PROHIBITED | 255 19 440 268
  car; automobile; parked car | 399 421 697 571, 62 424 152 500
  person; pedestrian | 673 367 800 597, 0 319 103 600
  newspaper box; blue newspaper box | 116 415 260 600
opencv:text/scenetext02.jpg | tree; road; light
  direction sign; green sign; signpost; sign with white arrows | 228 470 1000 960
  text SPORTS CENTRE; the words Sports Centre | 426 611 780 698
  text CONFERENCE CENTRE; the words Conference Centre | 426 755 896 842
opencv:text/scenetext03.jpg | building; house; window; person; door; sign; tree
  shop sign; white sign; sign that says COPY CENTRE | 94 530 631 648
  hanging flower basket; pink flowers; flowers | 663 661 797 809, 525 730 611 827
opencv:text/scenetext04.jpg | building; house; tree; plant; bush; brick wall; wall; box; window; container; truck
  generator; yellow generator; big yellow box | 0 329 822 720
  palm tree; palm | 804 0 1277 250, 500 171 710 312
  text GM 125; sign that says GM 125 | 398 406 579 468
opencv:text/scenetext05.jpg | car; truck; motorcycle; road; fence; van
  barrier; yellow barrier; metal barrier | 277 114 842 656, 0 50 309 380
  no parking sign; sign that says NO PARKING | 470 307 700 396, 87 166 225 223
opencv:text/scenetext06.jpg | building; house; window; door; street lamp; chimney; roof; camera; pole
  no entry sign; red and white round sign; do not enter sign | 82 322 111 365
  car; red car; automobile | 85 390 219 480
  hanging sign; pub sign; small blue sign | 286 147 339 217
  text PRIORY GALLERIES; the words priory galleries at the ship | 240 285 591 322
  person; pedestrian | 547 444 585 480
opencv:data/aloeL.jpg | flower
  flower pot; clay pot; brown pot; plant pot | 718 810 1069 1086
  aloe plant; potted plant; green plant; houseplant | 0 0 1282 1100
opencv:data/left01.jpg | desk; table; paper; phone; computer mouse; computer; book
  chessboard; checkerboard; black and white board | 208 37 562 306
  monitor; computer screen; screen | 0 140 176 452
  keyboard; computer keyboard | 27 359 232 480
  person; human | 170 19 585 480
opencv:data/right.jpg | bicycle; chair; table; box; bag
  blue book; book about electronics; text BASIC ELECTRONICS | 316 110 551 421
  book | 316 110 551 421, 215 108 355 324
opencv:data/leuvenA.jpg | window; door; chimney; road; street; building; tree; wall; fountain; statue
  street lamp; lantern; wall lantern | 156 238 174 273
  half-timbered house; house; old house | 254 161 417 379
  house; brick house; old house | 0 16 224 459, 497 60 751 452
opencv:data/licenseplate_motion.jpg | window; light; bus; sign
  car; silver car; automobile | 0 27 600 450
  license plate; number plate | 227 220 350 298
  tail light; red light of a car; brake light | 4 174 147 257, 453 170 584 257
opencv:data/messi5.jpg | person; bench; chair; sign; camera; text UNICEF; jacket
  soccer ball; football; ball; yellow ball | 338 289 386 337
  soccer player; football player; player in red and blue | 68 63 457 337
  shoe; football boot | 252 310 308 335, 418 254 457 289
opencv:data/squirrel_cls.jpg | tree; branch; leaf; plant; nut
  squirrel; brown squirrel | 130 104 387 361
opencv:data/stuff.jpg | table; lens cap; bottle cap; disc; desk; ball; plate
  pencil; black pencil; pen | 56 89 343 257
  lighter; red lighter; cigarette lighter | 316 313 359 459
  coin; small coin | 188 287 232 328
opencv:data/chicky_512.png | jeans; person; toy
  dog; brown dog | 38 38 489 510
opencv:data/basketball1.png | switch; light switch; paper; shirt; jeans; sign; shoe
  basketball; ball | 118 98 181 158
  person; man | 33 82 181 478, 433 20 640 478
  office chair; chair; desk chair | 433 202 516 440
  door | 108 20 200 373
opencv:data/box_in_scene.png | bag; plastic bag; chair; wall; fence; door; candy
  rice box; box of rice; text BASMATI | 245 166 386 347
  box of breadsticks; text BASTONCINI | 103 161 270 297
  book; black book | 151 4 400 195
opencv:alphamat/input_images/plant.jpg | plant; box; label; barcode; jacket; picture frame; grass
  clothespin; clothes peg; blue clothespin | 281 82 331 233
  flower pot; brown pot; plant pot | 191 200 363 333
  blue pot | 73 194 172 288
opencv:data/butterfly.jpg | leaf; plant; flower
  butterfly; black and white butterfly | 5 17 484 315
opencv:data/fruits.jpg | banana; cabbage; onion; fruit; mango; apple
  orange; orange slice; slice of orange | 77 43 343 477, 0 0 150 100
  lime; green lime | 349 118 512 291
  lemon; half a lemon; yellow lemon | 322 248 512 477
  kiwi; kiwi fruit | 0 275 116 479
opencv:data/apple.jpg | fruit; pencil
  apple; red apple | 44 5 462 497
opencv:data/orange.jpg | fruit; pencil
  orange; orange fruit | 33 51 458 510
opencv:hfs/data/000.jpg | pipe; post
  bird; robin; bird with an orange breast | 72 6 313 229
opencv:hfs/data/002.jpg | grass; cloud; sky
  tree; tree on a meadow | 132 34 340 222
skimage:astronaut.png | person; rocket; airplane; shirt; patch; camera; gloves
  helmet; space helmet; black helmet | 277 346 510 511
  american flag; flag | 0 0 103 330
  space shuttle; white space shuttle; model of a space shuttle | 354 0 456 284
  astronaut; woman in an orange suit | 25 16 385 512
skimage:coffee.png | table; coffee; bowl; cup; glass
  mug; cup of coffee; coffee cup; espresso | 174 17 407 305
  spoon; teaspoon | 324 67 427 328
  saucer; red saucer; plate | 76 58 481 387
skimage:motorcycle_left.png | shelf; helmet; door; table; can; box; chair; bicycle; toolbox; bucket; basket; bag; bottle; lamp; ladder; tail light
  motorcycle; motorbike; red motorcycle | 93 80 683 454
  wooden bench; bench | 50 105 283 332
skimage:camera.png | building; tower; tree; glove; coat; grass
  tripod; camera tripod | 236 188 399 511
  camera; film camera | 260 139 326 188
  person; man; man in a black coat | 16 62 333 511
skimage:chelsea.png |
  cat; cat with green eyes | 10 0 420 300
skimage:rocket.jpg | tower; light; lamp; street lamp; building
  rocket; white rocket; launch vehicle | 308 124 337 406
sklearn:china.jpg | tree; water; boat; ship; building; house; window; tower; bush; plant
  pagoda; temple; chinese pavilion | 62 30 371 392
sklearn:flower.jpg | plant; leaf
  flower; orange flower; dahlia | 168 84 446 360, 287 375 442 427
lomiri:Wine_by_Jakkub_Mede.jpg | window; glass; cup; wood; radio; cushion; pot
  @ 1000
  wine bottle; bottle; bottle of wine | 307 119 353 331
  wine glass; glass of wine | 249 198 300 341
  coffee grinder; coffee mill; pepper mill | 483 200 590 328
  drum; djembe | 20 485 418 747
  speaker; loudspeaker | 12 34 125 483
  wooden table; table | 189 290 631 580
  bean bag; beanbag chair | 34 606 526 976
lomiri:friends_by_Aitzol_Berasategi.jpg | rope; window; house; wall; fence; door; building; towel; hook
  @ 1000
  dog; cocker spaniel; brown dog | 205 230 343 423, 312 447 447 657
  curtain; white curtain | 205 0 350 495
"""

# What a background shows without a box: not asked for, and not called absent.
BACKGROUNDS = {
    "street": ("tree", "building", "house", "window", "street lamp", "road", "lantern", "door", "palm tree"),
    "room": ("shelf", "table", "wooden table", "window", "curtain", "door", "picture frame"),
    "texture": (),
    "Kleiber_by_Lukas_Baubkus.jpg": ("bird", "robin", "tree", "person", "branch", "jeans"),
    "greentock_by_Peter_Nerlich.jpg": ("clock", "watch", "lamp"),
}

# Asked for as absent, besides the names of photographs that are not in the frame; none of these is in any photograph above.
ABSENT = """stop sign; traffic light; fire hydrant; traffic cone; speed limit sign; yield sign; roundabout sign; school sign; tram; train;
tractor; fire truck; police car; bicycle path sign; wheelchair; stroller; giraffe; elephant; horse; cow; sheep; duck; owl; penguin; fish;
snake; pineapple; watermelon; strawberry; grapes; carrot; broccoli; tomato; pizza; cake; donut; croissant; sandwich; guitar; violin; trumpet;
piano; scissors; hammer; wrench; screwdriver; saw; pliers; fire extinguisher; microscope; telescope; globe; teddy bear; rubber duck; kite;
skateboard; surfboard; baseball bat; tennis racket; trophy; crown; calculator; printer; laptop; microwave; refrigerator; washing machine; toaster;
vacuum cleaner; hair dryer; toothbrush; bathtub; toilet; sink; bed; candle; hourglass; dice; cactus; sunflower; snowman; anchor; sailboat;
helicopter; hot air balloon; drone; windmill; lighthouse; tent; sign that says EXIT; sign that says OPEN; text PIZZA"""

# Too common in what nobody labelled to be called absent.
COMMON = "person; man; house; building; tree; door; window; table; shoe; hat; watch; license plate; tail light; bottle".split("; ")
