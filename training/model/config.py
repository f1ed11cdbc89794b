"""What a PS3 checkpoint says about itself: `config.json` with the reference's defaults filled in.

A published folder stores only the values that differ from the reference's defaults, and neither depth nor heads nor patch size: those
follow from `model_name` (BACKBONES below). Ours adds `geometry`, `resampling`, `position`, `aux_size`, `patch_stem` and `aux_stem` to the
vision side and `kind: "sentence"` to the text side; all are off where a folder does not name them: published folders mean what they meant.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields

from ps3_ros.errors import CheckpointError


@dataclass(frozen=True)
class Backbone:
    """What a model_name stands for. image_size is the one its positional grid was made for, px."""

    dim: int
    depth: int
    heads: int
    mlp_ratio: float
    patch: int
    image_size: int


BACKBONES = {
    "vit_so400m_patch14_siglip_384": Backbone(1152, 27, 16, 3.7362, 14, 384),
    "vit_so400m_patch14_siglip_378": Backbone(1152, 27, 16, 3.7362, 14, 378),
    "vit_large_patch16_224": Backbone(1024, 24, 16, 4.0, 16, 224),
    "vit_base_patch16_siglip_384": Backbone(768, 12, 12, 4.0, 16, 384),
    "vit_tiny_patch16_224": Backbone(192, 12, 3, 4.0, 16, 224),
    "test_vit": Backbone(64, 6, 2, 3.0, 16, 160),
    # Ours: about 5 M parameters.
    "vit_nano_patch16_384": Backbone(256, 6, 4, 4.0, 16, 384),
}
# The C-RADIO pool is SigLIP's whatever the trunk is (ps3.md, Parameters).
RADIO_POOL = Backbone(1152, 0, 16, 3.7362, 0, 0)

SIGLIP_MEAN, SIGLIP_STD = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)

# Keys that reference folders carry and that change nothing here: bookkeeping, training-only rates, and copies for other programs.
HARMLESS = {
    "architectures", "attn_implementation", "auto_map", "dtype", "image_size", "initializer_range", "model_type", "output_attentions",
    "output_hidden_states", "patch_size", "return_dict", "torch_dtype", "transformers_version", "use_bfloat16", "vision_tower_name",
    "drop", "drop_path", "dynamic_img_size", "patch_drop", "pretrained", "hf_tokenizer_name", "tokenizer_kwargs", "output_tokens",
    "final_ln_after_pool", "tie_word_embeddings", "bos_token_id", "eos_token_id", "pad_token_id", "id2label", "label2id", "num_labels",
}
# Options of the reference that would change the numbers and that no published checkpoint uses: refused unless they are off.
UNSUPPORTED = {"class_token": "prefix tokens", "embed_cls": "an appended class embedding", "ls_init_value": "layer scale in the text tower"}


@dataclass(frozen=True)
class VisionConfig:
    """`vision_config`; defaults are the reference's. Sizes in px, widths in channels."""

    model_name: str
    hidden_size: int = 1152
    pool: str = "avg"
    ps3_scales: tuple[int, ...] = (378, 756, 1512)
    select_based_on_layer: tuple[int, ...] = (0, 9, 18, 26)
    max_select_num: int = 1280
    max_select_num_each_scale: tuple[int, ...] | None = None
    separate_pos_emb: bool = True
    highres_selection_feature: bool = True
    highres_selection_module_hidden_dim: int = 512
    highres_selection_module_out_dim: int = 512
    highres_selection_module_depth: int = 3
    highres_selection_module_kernel_size: int = 28
    radio: bool = False
    radio_adapter_mlp_version: str | None = None
    radio_adapter_mlp_input_dim: int | None = None
    radio_adapter_mlp_hidden_dim: int | None = None
    radio_adapter_mlp_output_dim: int | None = None
    radio_adapter_mlp_num_inner: int | None = None
    img_size: int | None = None
    final_norm: bool = False
    # Ours; off where a folder does not name them.
    geometry: str = "reference"
    resampling: str = "bicubic"
    position: str = "full"
    aux_size: int = 1512
    patch_stem: str = "linear"  # or "conv": a small ConvNet inside each patch, beside the product
    aux_stem: str = "linear"  # or "conv": strides of 2 in place of one convolution of the kernel's size

    def __post_init__(self):
        backbone = BACKBONES.get(self.model_name)
        if backbone is None:
            raise CheckpointError(f"vision_config.model_name is {self.model_name!r}; the known ones are {', '.join(BACKBONES)}.")
        _one_of("vision_config.geometry", self.geometry, ("reference", "native"))
        _one_of("vision_config.resampling", self.resampling, ("bicubic", "area"))
        _one_of("vision_config.position", self.position, ("full", "factored"))
        _one_of("vision_config.patch_stem", self.patch_stem, ("linear", "conv"))
        _one_of("vision_config.aux_stem", self.aux_stem, ("linear", "conv"))
        kernel = self.highres_selection_module_kernel_size
        if self.patch_stem == "conv" and backbone.patch % 8:
            raise CheckpointError(
                f'vision_config.patch_stem is "conv", for patches of a multiple of 8 px; {self.model_name} has {backbone.patch} px.'
            )
        if self.aux_stem == "conv" and (kernel < 2 or kernel & (kernel - 1)):
            raise CheckpointError(
                f'vision_config.aux_stem is "conv" and highres_selection_module_kernel_size {kernel}; it must then be a power of two.'
            )
        if self.pool != "map":
            raise CheckpointError(f'vision_config.pool is {self.pool!r}; PS3 pools by attention, so the folder must say "map".')
        if self.hidden_size not in (backbone.dim, RADIO_POOL.dim if self.radio else backbone.dim):
            raise CheckpointError(
                f"vision_config.hidden_size is {self.hidden_size}, but {self.model_name} is {backbone.dim} wide; correct one of them."
            )
        scales, patch = self.ps3_scales, backbone.patch
        multiples = all(s > scales[0] and s % scales[0] == 0 for s in scales[1:])
        if len(scales) < 2 or scales[0] < patch or scales[0] % patch or not multiples or list(scales) != sorted(set(scales)):
            raise CheckpointError(
                f"vision_config.ps3_scales is {list(scales)}; give at least two, the lowest a multiple of the patch ({patch} px) "
                "and the others larger multiples of the lowest, each larger than the one before."
            )
        if not self.select_based_on_layer or any(not 0 <= i < backbone.depth for i in self.select_based_on_layer):
            raise CheckpointError(
                f"vision_config.select_based_on_layer is {list(self.select_based_on_layer)}; {self.model_name} has layers 0 to "
                f"{backbone.depth - 1}."
            )
        each = self.max_select_num_each_scale
        if each is not None and (len(each) != len(scales) - 1 or min(each) < 0 or sum(each) < 1):
            raise CheckpointError(
                f"vision_config.max_select_num_each_scale is {list(each)}; give one number of patches for each of the {len(scales) - 1} "
                "high-res scales."
            )
        if sum(self.budget) < 1:
            raise CheckpointError(f"vision_config.max_select_num is {self.max_select_num}, not one patch a scale; give more.")
        for name in ("max_select_num", "highres_selection_module_hidden_dim", "highres_selection_module_out_dim", "aux_size"):
            _positive(f"vision_config.{name}", getattr(self, name))
        _positive("vision_config.highres_selection_module_kernel_size", self.highres_selection_module_kernel_size)
        if self.highres_selection_feature and self.aux_size < self.highres_selection_module_kernel_size:
            raise CheckpointError(
                f"vision_config.aux_size is {self.aux_size} px, less than one cell of {self.highres_selection_module_kernel_size} px."
            )
        if (self.img_size is not None) and self.img_size < patch:
            raise CheckpointError(f"vision_config.img_size is {self.img_size}; it must be at least one patch ({patch} px).")
        if self.radio:
            _one_of("vision_config.radio_adapter_mlp_version", self.radio_adapter_mlp_version, ("v2",))
            ends = (self.radio_adapter_mlp_input_dim, self.radio_adapter_mlp_output_dim)
            if ends != (backbone.dim, RADIO_POOL.dim):
                raise CheckpointError(
                    f"vision_config's radio_adapter_mlp goes from {ends[0]} to {ends[1]} channels; it must go from the trunk's "
                    f"{backbone.dim} to the pool's {RADIO_POOL.dim}."
                )
            _positive("vision_config.radio_adapter_mlp_hidden_dim", self.radio_adapter_mlp_hidden_dim)
            if self.position_grid < max(self.sides):
                raise CheckpointError(
                    f"vision_config.img_size gives a positional grid of {self.position_grid} cells a side, from which C-RADIO cannot crop "
                    f"the {max(self.sides)} of its finest scale; give an img_size of at least {max(scales)}."
                )
            if self.position == "factored":
                raise CheckpointError('vision_config.position is "factored"; a C-RADIO model crops a full table.')

    @property
    def backbone(self) -> Backbone:
        return BACKBONES[self.model_name]

    @property
    def patch(self) -> int:
        """A patch's side, px."""
        return self.backbone.patch

    @property
    def position_grid(self) -> int:
        """Side of the grid that trunk.pos_embed was learned on."""
        return (self.img_size or self.backbone.image_size) // self.patch

    @property
    def grid(self) -> int:
        """Low-res cells a side, g."""
        return self.ps3_scales[0] // self.patch

    @property
    def sides(self) -> tuple[int, ...]:
        """G_s: patches along the longer side of each high-res scale."""
        return tuple(s // self.patch for s in self.ps3_scales[1:])

    @property
    def embed_dim(self) -> int:
        """E: width of pooled vectors."""
        return RADIO_POOL.dim if self.radio else self.backbone.dim

    @property
    def budget(self) -> tuple[int, ...]:
        """Patches of each high-res scale in one look: max_select_num in proportion to pixels, int() of each share."""
        if self.max_select_num_each_scale is not None:
            return self.max_select_num_each_scale
        pixels = [s * s for s in self.ps3_scales[1:]]
        return tuple(int(self.max_select_num * p / sum(pixels)) for p in pixels)

    @property
    def mean(self) -> tuple[float, ...]:
        """Of RGB in [0, 1]."""
        return CLIP_MEAN if self.radio else SIGLIP_MEAN

    @property
    def std(self) -> tuple[float, ...]:
        """Of RGB in [0, 1]."""
        return CLIP_STD if self.radio else SIGLIP_STD


@dataclass(frozen=True)
class TextConfig:
    """`text_config`; defaults are the reference's. kind "clip" is the reference's tower, "sentence" ours (a BERT sentence encoder)."""

    output_dim: int = 1152
    prompt_proj_dim: int = 1152
    context_length: int = 77
    vocab_size: int = 49408
    width: int = 512
    heads: int = 8
    layers: int = 12
    mlp_ratio: float = 4.0
    pad_id: int = 0
    no_causal_mask: bool = False
    pool_type: str = "argmax"
    proj_bias: bool = False
    act_kwargs: dict = field(default_factory=dict)
    norm_kwargs: dict = field(default_factory=dict)
    # Ours.
    kind: str = "clip"
    projection_dim: int = 512  # hidden width of the sentence tower's text_projection

    def __post_init__(self):
        _one_of("text_config.kind", self.kind, ("clip", "sentence"))
        _one_of("text_config.pool_type", self.pool_type, ("first", "last", "argmax"))
        for name in ("output_dim", "prompt_proj_dim", "context_length", "vocab_size", "width", "heads", "layers", "projection_dim"):
            _positive(f"text_config.{name}", getattr(self, name))
        if self.width % self.heads:
            raise CheckpointError(f"text_config.width is {self.width}, which {self.heads} heads do not divide.")
        if set(self.norm_kwargs) - {"eps"} or set(self.act_kwargs) - {"approximate"}:
            raise CheckpointError(
                f"text_config has norm_kwargs {self.norm_kwargs} and act_kwargs {self.act_kwargs}; only eps and approximate are known."
            )
        _one_of("text_config.act_kwargs.approximate", self.gelu, ("none", "tanh"))

    @property
    def eps(self) -> float:
        """LayerNorm's epsilon; BERT's is 1e-12, the reference's tower has torch's default."""
        return self.norm_kwargs.get("eps", 1e-12 if self.kind == "sentence" else 1e-5)

    @property
    def gelu(self) -> str:
        """"none" (exact) or "tanh", as F.gelu's `approximate`."""
        return self.act_kwargs.get("approximate", "none")


@dataclass(frozen=True)
class PS3Config:
    """Both halves of a checkpoint's config.json."""

    vision: VisionConfig
    text: TextConfig

    def __post_init__(self):
        if self.text.output_dim != self.vision.embed_dim or self.text.prompt_proj_dim != self.vision.backbone.dim:
            raise CheckpointError(
                f"text_config gives vectors of {self.text.output_dim} and prompts of {self.text.prompt_proj_dim}, but the vision side "
                f"({self.vision.model_name}) compares them with {self.vision.embed_dim} and {self.vision.backbone.dim}; make them equal."
            )

    @classmethod
    def from_dict(cls, config: dict) -> PS3Config:
        """config.json's content -> PS3Config. CheckpointError where a value is missing, unknown, or does not fit the others."""
        if not isinstance(config, dict) or config.get("model_type", "ps3") != "ps3":
            kind = config.get("model_type") if isinstance(config, dict) else type(config).__name__
            raise CheckpointError(f'config.json is of model_type {kind!r}; a PS3 folder says "ps3".')
        sections = {name: config.get(name) or {} for name in ("vision_config", "text_config")}
        vision = _read("vision_config", VisionConfig, sections["vision_config"])
        if "model_name" not in vision:
            raise CheckpointError(f"vision_config has no model_name; the known ones are {', '.join(BACKBONES)}.")
        # hidden_size is a copy of what model_name implies: folders of ours may leave it out.
        if "hidden_size" not in vision and vision.get("model_name") in BACKBONES:
            vision["hidden_size"] = BACKBONES[vision["model_name"]].dim
        if "ps3_scales" in vision:
            vision["ps3_scales"] = tuple(sorted(vision["ps3_scales"]))
        return cls(VisionConfig(**vision), TextConfig(**_read("text_config", TextConfig, sections["text_config"])))

    def to_dict(self) -> dict:
        """The content of config.json; keys that only we have are written only where they are not at their default."""
        ours = {"geometry", "resampling", "position", "aux_size", "patch_stem", "aux_stem", "kind", "projection_dim"}
        sections = {}
        for name, model_type, part in (("vision_config", "ps3_vision_model", self.vision), ("text_config", "ps3_text_model", self.text)):
            default = {f.name: f.default for f in fields(part)}
            values = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(part).items() if not (k in ours and v == default[k])}
            sections[name] = {"model_type": model_type, **values}
        return {"architectures": ["PS3Model"], "model_type": "ps3", **sections}


def _read(section: str, part: type, values: dict) -> dict:
    """One section's known keys, each of the type its field has; harmless keys dropped, anything else a CheckpointError."""
    if not isinstance(values, dict):
        raise CheckpointError(f"config.json's {section} is {values!r}; it must be an object.")
    known = {f.name: f.type for f in fields(part)}
    read = {}
    for key, value in values.items():
        if key in known:
            read[key] = _typed(f"{section}.{key}", known[key], value)
        elif key in UNSUPPORTED and value:
            raise CheckpointError(f"{section}.{key} is {value!r}, which asks for {UNSUPPORTED[key]}; there is none here, so leave it out.")
        elif key not in UNSUPPORTED and key not in HARMLESS and not key.startswith("_"):
            raise CheckpointError(f"{section} has the unknown key {key!r}; remove it, or correct its spelling.")
    return read


def _typed(name: str, kind: str, value):
    """value as the field's annotation (a string, from __future__ annotations) says; lists become tuples, ints pass for floats."""
    if value is None and "None" in kind:
        return None
    if kind.startswith("tuple"):
        if isinstance(value, (list, tuple)) and value and all(type(v) is int for v in value):
            return tuple(value)
    elif kind.startswith("float"):
        if type(value) in (int, float):
            return float(value)
    elif type(value).__name__ == kind.split(" ")[0]:
        return value
    raise CheckpointError(f"{name} is {value!r}; it must be {kind.replace('tuple[int, ...]', 'a list of integers')}.")


def _one_of(name: str, value, known: tuple):
    if value not in known:
        raise CheckpointError(f"{name} is {value!r}; it must be one of {', '.join(map(repr, known))}.")


def _positive(name: str, value):
    if type(value) is not int or value < 1:
        raise CheckpointError(f"{name} is {value!r}; it must be a whole number of at least 1.")
