"""Drawings of Debian's openclipart-svg (public domain) of things that the catalogue knows, and of those that restyled.MORE adds.

One line a thing: `name: picture picture`, paths under the package's folder without `.svg`. Chosen by eye: colour drawings of one thing,
no barcodes, symbols or outlines.
"""

CLIPART = """
acorn: plants/acorn_jonathan_dietrich_01
anchor: transportation/anchor transportation/anchor_juliane_krug_01
ant: animals/bugs/ant
antelope: animals/mammals/antilope_architetto_fran_01
apple: food/apple_bitten_dan_gerhard_01 food/apple_with_worm_dan_gerh_01 food/fruit/apple food/fruit/apple_martin_schmidt-li_01r
apple core: food/fruit/apple_core_01
apple juice: food/beverages/apple_juice_box
armadillo: animals/armadillo_architetto_fra_01
baby bottle: food/beverages/baby_bottle_01
ballpoint pen: office/ballpoint_pen_jonathan_d_01
bamboo: plants/bamboo_danny_allen_r
banana: food/fruit/banana
bananas: food/fruit/bananas_nicu_buculei_01
barrel: buildings/furniture/wooden_barrel_petri_lumm_01
baseball: recreation/sports/baseball_anthony_liekens_01 recreation/sports/basebalm_ganson
baseball cap: recreation/sports/baseball_cap_ganson
baseball glove: recreation/sports/baseball_glove_ganson
bass guitar: recreation/music/bass_guitar_a.j._ashton_
battery: electronics/battery/battery_01 electronics/battery/battery_jean-victor_bali_01 electronics/battery/battery_snuatautisticido_01
battery: electronics/battery/battery_snuatautisticido_02
beachball: recreation/toys/beachball_v0.1
beagle: animals/mammals/dogs/beagle_copper_ganson
bee: animals/bugs/bee animals/bugs/bee1_mimooh_01 animals/bugs/bee2_mimooh_01 animals/bugs/bee3_mimooh_01
beer: food/beverages/alcohol/beer food/beverages/alcohol/beer1
bicycle: transportation/bicycle_philippe_colin_01 transportation/vehicles/bicycle_01
binoculars: recreation/sports/binoculars_vladimir_hern_01
birthday cake: food/desserts/birthday_cake
bison: animals/bison_leif_lodahl_01
bomb: tools/weapons/bomb_01
book: education/books/book_01 education/books/book_02 education/books/old_book_lumen_design_st_01
books: education/books/books-aj.svg_aj_ashton_01
boomerang: recreation/toys/boomerang_01
bottle: tools/bottle_jean_victor_balin_
bread: food/breads_and_carbs/bread food/breads_and_carbs/bread_01
brick: buildings/brick_frouke_01
broom: tools/broom_nicu_buculei_01
bull: animals/mammals/bull_utrescu_
burrito: food/burrito_ganson
cake: food/cake_and_candle_anton_fr_01 food/desserts/cake1_jarno_vasamaa_01 food/desserts/cake_etienne_bersac_r
cake: food/desserts/cake_jarno_vasamaa_r
calculator: office/calculator
camcorder: electronics/camcorder_jaime_sanchez1
camel: animals/mammals/camel_head_01
camera: electronics/camera_icon_stuart_moore_01 electronics/camera_michael_tunniclif_01
car: transportation/car_jamin_ellis_ transportation/old_car_lumen_design_st_r transportation/vehicles/car
cardboard box: containers/cardboard_box_jarno_vasa_
cat: animals/mammals/cartoon_cat_gerald_g._01 animals/mammals/cartoon_cat_gerald_g._02 recreation/toys/cat_scrathing_post_benji_01
caterpillar: animals/bugs/caterpillar_david_wislon_01
cayenne pepper: food/vegetables/cayenne_pepper_1_simple_01
cello: recreation/music/cello_ganson recreation/music/cello_mo_01 recreation/music/cello_mo_02
cheese: food/dairy/cheese_01
cherries: food/fruit/cherries
clipboard: computer/clipboard_01
closed book: education/books/closed_book_01
cocktail: food/beverages/alcohol/cocktail_daniel_steele_r
coffee: food/beverages/coffee food/beverages/coffee_ganson
compact disc: electronics/compact_disc
computer keyboard: computer/hardware/computer_keyboard_01
cookie: food/desserts/crazy_cookie_dave_pena_01
cormorant: animals/birds/cormorant-md
corn dog: food/meats_and_eggs/corn_dog
crawfish: animals/crawfish1_ganson animals/crawfish2_ganson
crayon: education/crayon
croissant: food/breads_and_carbs/croissant_01 food/breads_and_carbs/croissant_b_amp_w__geral_01
croissant: food/breads_and_carbs/croissant_gerald_g._01
crow: animals/birds/crow_01
crt monitor: computer/crt_monitor_01
daffodil: plants/daffodil_jonathan_dietri_01 plants/flowers/daffodil_susan_park_01
daisy: plants/flowers/daisy_jonathan_dietrich_01
dall sheep: animals/mammals/dall_sheep_ram_ganson
damselfly: animals/bugs/damselfly_leigh_purdie_r
dartboard: recreation/dartboard_ruud_steltenpo_01
deer: animals/mammals/deer_matt_todd_01
dice: recreation/dice
digital camera: tools/digital_camera_nicu_bucu_01 computer/hardware/digital-camera_aj_ashton_01
dog: animals/mammals/dog_01_drawn_with_strai_01 animals/mammals/dog_01_drawn_with_strai_02 animals/mammals/dog_01_drawn_with_strai_03
dog: animals/mammals/dog_02_drawn_with_strai_01
dolphin: animals/fish/dolphin animals/fish/dolphin_01
drinking glass: food/beverages/drinking_glass_with_red_punch_01
duck: animals/birds/duck_yellow_ii_kurt_cagl_ animals/birds/duck_yellow_kurt_cagle_
eagle: animals/birds/eagle_01
echidna: animals/mammals/echidna_01
eiffel tower: buildings/eiffel_tower_michael_ja_r
electric guitar: recreation/music/electric_guitar_andrea__01r
elephant: animals/mammals/elephant_01
envelope: office/envelope_01 office/envelope_juliane_krug_01 office/mail1 office/mail2
eraser: office/eraser
factory: buildings/factory_gabrielle_nowick_
fern: plants/trees/fern_mo_01
fire engine: transportation/fire_engine_romus_01
flan: food/desserts/flan_jean-victor_balin_01
floppy disk: computer/floppy_disk_architetto_f_01
flute: recreation/music/flute_ganson
fly: animals/bugs/fly_01
football: recreation/sports/football_ball_brice_boye_01
football helmet: recreation/sports/football_helmet_gerald_g_01
french fries: food/french_fries_juliane_kr_r
french horn: recreation/music/french_horn_ganson
fried egg: food/meats_and_eggs/fried_egg
garlic: food/breads_and_carbs/garlic_toast
geranium: plants/flowers/geranium_ganson
gift: recreation/holiday/gift01 recreation/holiday/gift02 recreation/holiday/gift03 recreation/holiday/gift04
giraffe: animals/fish/giraffe_cichlid_01
grain elevator: buildings/grain_elevator_ganson
gramophone: recreation/music/gramophone
grapes: food/fruit/grapes_01 food/fruit/grapes_simple
guitar: recreation/music/guitar_ganson recreation/music/guitar_jarno_vasamaa1 recreation/music/guitar_jarno_vasamaa2
guitar: recreation/music/guitar_profile_philippe__01
hamburger: food/meats_and_eggs/hamburger_ganson
hammer: tools/hammer_nicu_buculei_01
harp: recreation/music/harp1_ganson recreation/music/harp2_ganson recreation/music/harp3_ganson recreation/music/harp_mo_01
hash browns: food/breads_and_carbs/hash_browns
headphones: recreation/music/headphones_davide_pesent_
hen: animals/birds/hen_01
hiking boot: recreation/holiday/hiking_boot_jarno_vasama_
honey: food/honey
horse: animals/mammals/horses/horse_1_konstantin_r._01 animals/mammals/horses/horse_1_rotkevich_konsat_01
horse: animals/mammals/horses/horse_2_konstantin_r._01
hot dog: food/meats_and_eggs/hot_dog food/meats_and_eggs/hot_dog_juliane_krug_r
house: buildings/house_gabrielle_nowicki_ buildings/homes/big_house_01 buildings/homes/house buildings/homes/house_christoph_brill_01
ice water: food/beverages/ice_water_ganson
ironing board: tools/ironing_board_gerald_g._01 tools/ironing_board_gerald_g._02
joystick: computer/joystick_beige_gray_petr_01 computer/joystick_black_red_petri_01 computer/hardware/joystick_atari_style_da_r
knife: tools/weapons/knife
ladybug: animals/bugs/ladybug_01 animals/bugs/ladybug_02
laptop: computer/etiquette_laptop_01 computer/hardware/laptop computer/hardware/laptop_01 computer/hardware/laptop_02
lasagna: food/lasagna_ganson
lcd monitor: computer/lcd_monitor_shandy_brown_ computer/lcd_monitor_the_structor_ computer/hardware/lcd
leaf: plants/leaf_01
lemon slice: food/fruit/lemon_slice_ganson
lemonade: food/beverages/lemonade food/beverages/lemonade_linda_kim_01
light bulb: electronics/bulb/light_bulb_karl_bartel_01
lollipop: food/desserts/lollipop_dave_pena_01 food/desserts/lollipop_dave_pena_02
magnifying glass: office/magnifying_glass_01 office/magnifying_glass_olivier_01 office/magnifying_glass_teudimu_01 tools/mag1
magnolia: plants/magnolia-white_patricia__01 plants/magnolia_white_patricia__01
mailbox: office/mailbox1 office/mailbox2 office/mailbox3
marshmallow: food/marshmallow_on_a_stick_b_02
megaphone: office/megaphone_nicu_buculei_01
melon: food/fruit/melon_goneri_le_bouder_01
microchip: computer/microchip_v.2_havok_redh_01
microphone: recreation/music/microphone_stand_gerald__01
milk: food/beverages/milk_ganson
milk carton: food/beverages/milk_carton_jarno_vasama_
mobile phone: office/telephone/mobile_phone_01
modem: computer/hardware/modem
motorcycle: transportation/motorcycle_jarno_vasama_
mountain dulcimer: recreation/music/mountain_dulcimer_terry_
muffin: food/breads_and_carbs/muffin1 food/breads_and_carbs/muffin2 food/breads_and_carbs/muffin_3
muffin: food/desserts/muffin_jean_victor_balin_
mug: food/beverages/mug
mushroom: plants/mushroom plants/mushroom_benji_park_
newspaper: education/newspaper_nicu_buculei_01 office/newspaper_aubanel_monnie_01
notebook: computer/notebook1_sergio_luiz_ar_02
oboe: recreation/music/oboe_ganson
onion: food/onion_rings food/vegetables/onion_joerg_rosenbauer_01
open book: education/books/open_book_nae_02
orange juice: food/beverages/orange_juice_box
orca: animals/orca_matthew_gates_r
padlock: tools/padlock_aj_ashton_01
paint brush: education/paint_brush_linda_kim_01 tools/paint_brush_costea_bogda_01
paint roller: tools/paint_roller_gerald_g._01
pancake: food/breads_and_carbs/pancake
pancakes: food/breads_and_carbs/pancakes_berries food/breads_and_carbs/pancakes_ganson
paper plane: recreation/toys/toy_paper_plane_01
peach: food/fruit/peach_simple
pear: food/fruit/green_pear_01 food/fruit/pear food/fruit/pear_01 food/fruit/pear_02
pen: education/pen_01 education/pen_uliphant_01 office/pen_pencil_darkon_01
pencil: education/pencil_01 education/pencil_benji_park_01 office/pencil_jonathan_dietrich_01
piano: recreation/music/piano_geraint_luff_01
picture frame: office/picture_frame_jakob_chao_
pig: animals/mammals/pig_marcelo_caiafa1
pink cake: food/desserts/pink_cake_gabrielle_now_r
pizza: food/pizza_4_stagioni_archite_01 food/pizza_cheese food/pizza_pepperoni food/pizza_rectangular__geral_01
potato: plants/potato_nicu_buculei_01 food/breads_and_carbs/potato_chips food/breads_and_carbs/potato_nicu_buculei_
pretzel: food/breads_and_carbs/pretzel_01
printer: computer/etiquette_printer_01 computer/printer_anton_yu_01 office/printer1 computer/hardware/printer
puffin: animals/birds/puffin-md
pumpkin: food/pumpkin2_yemu_01 food/pumpkin_erik_postma_01
raccoon: animals/mammals/raccoon_ganson
reed: plants/reed_gmv_
rhinoceros: animals/mammals/rhinoceros_3d_architetto_01 animals/mammals/rhinoceros_architetto_fr_01
robot: recreation/toys/robot_ganson
rocket: transportation/vehicles/rocket
rooster: animals/birds/rooster_01
rubber duck: recreation/toys/rubber_duck1_ganson recreation/toys/rubber_duck2_ganson recreation/toys/rubber_ducks_ganson
sailboat: transportation/boating/sailboat_illustration transportation/boating/sailboat_illustration_labels
scalpel: tools/scalpel_jon_campbell_01
scissors: education/scissors education/scissors_02 education/scissors_03 office/scissors_01
scorpion: animals/scorpion-md-v0.1
scuba tank: recreation/scuba_tank_01
seagull: animals/birds/seagull_nicu_buculei_01
seahorse: animals/fish/seahorse
shamrock: plants/shamrock_for_march_natha_01
sheep: animals/mammals/sheep-md-v0.1
sledge: recreation/sledge_01
snowman: recreation/holiday/snowman_01
soft drink: food/beverages/soft_drink
soup: food/soup_jarno_vasamaa_
spaghetti: food/spaghetti_ganson
spider: animals/bugs/spider tools/weapons/spider_sword_celso_junio_01
squirrel: animals/mammals/cartoon_squirrel_mike_sm1
steak: food/meats_and_eggs/steak-v0.1
strawberry: food/fruit/strawberry food/fruit/strawberry_01 food/fruit/strawberry_jonathan_diet_01 food/fruit/strawberry_simple
surfboard: recreation/sports/surfboard_jurgen_01 recreation/toys/surfboard_davek_01
sword: tools/weapons/sword_01
teapot: food/beverages/a_teapot_01 food/beverages/teapot_ganson
telephone: office/telephone/red_telephone_mimooh_01
telephone receiver: office/telephone/telephone_receiver_01
telescope: tools/telescope_01
television: electronics/television_alexander_d.__01
tennis shoe: recreation/sports/tennis_shoe_jarno_vasama_
thermometer: tools/thermometer_www.jonasste_01
thumbtack: education/thumbtack_linda_kim_01
tiger: animals/mammals/big_cats/color_tiger_susan_park_01 animals/mammals/big_cats/tiger_graig_ryan_smith_-_01
toadstool: plants/toadstool_daniel_steele_r
toothbrush: tools/toothbrush_and_paste_ganson
toque: food/toque_01
transistor: electronics/transistor
trowel: tools/trowel_benji_park_01
trumpet: recreation/music/trumpet_b_flat_colour_ganso
tulips: plants/tulips_ganson
turtle: animals/turtle_jurgen_gaeremyn_01
vacuum cleaner: tools/blue_vacuum_cleaner_jaim_01 tools/vacuum_cleaner_mariusz_k_01
wagon: recreation/toys/wagon_01
watermelon: food/watermelon_james_kilfige_01 food/fruit/watermelon_simple
webcam: computer/webcam_mazdac_01
wine: food/beverages/alcohol/wine
wine glass: recreation/party/wine_glass_christian_h._
wolf: animals/mammals/stylized_wolf_head_geral_01
wrench: tools/wrench_jarno_vasamaa_01
xylophone: recreation/music/xylophone_ganson
"""
