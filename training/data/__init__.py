"""Training frames from named objects: the catalogue, scenes at 3840 x 2160 with captions and boxes, and the shards that hold them.

catalogue.load() -> objects;  catalogue.render(object, rng, size, colour=None) -> RGBA;  captions.caption(object, rng) -> (text, asks)
backgrounds.make(rng, place) ;  augment.dressed(rgba, rng, kind) ;  compose.scene(objects, seed, split) -> Scene
shards.read_samples(folder), shards.read_shards(folder) ;  python -m ps3_training.data.make
"""
