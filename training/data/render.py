"""Draws 3D models with OpenGL, without a screen: a picture with shadows, and a number for every pixel that says whose it is.

    renderer = Renderer()
    pixels, ids = renderer.draw(things, camera, light, (3840, 2160))

Needs `pip install ps3_ros[render]` and Mesa's EGL (Debian: libegl1 libgl1-mesa-dri), which draws on the CPU where there is no GPU.
What is drawn is described by placed.py; the programs are in shaders.py.
"""

import os
from functools import lru_cache

import numpy as np

from ps3_ros.errors import Ps3Error

from .shaders import FLAT, FRAGMENT, VERTEX

CLEAR = (0.0, 0.0, 0.0, 0.0)
LAMPS = 4  # lights without shadows, at most


class RenderError(Ps3Error):
    """There is nothing here to draw with."""


class Renderer:
    """An OpenGL context and what it holds: programs, the shadow map, pictures of a size, models already sent to it."""

    def __init__(self, shadow=2048):
        """shadow: px, side of the shadow map. Raises RenderError where moderngl or a driver is missing."""
        os.environ.setdefault("LP_NUM_THREADS", "0")  # Mesa on the CPU: one core a process, as several processes make the data
        try:
            import moderngl
        except ImportError as error:
            raise RenderError("moderngl is not installed, and it draws the 3D models; run `pip install ps3_ros[render]`.") from error
        try:
            self.context = moderngl.create_context(standalone=True, backend="egl")
        except Exception as error:  # each driver raises its own
            raise RenderError(
                f"OpenGL cannot be opened without a screen ({error}); install Mesa's EGL (Debian: apt-get install libegl1 libgl1-mesa-dri)."
            ) from error
        self.gl = moderngl
        self.main = self.context.program(VERTEX, FRAGMENT)
        self.flat = self.context.program(VERTEX, FLAT)
        self.shadow_map = self.context.depth_texture((shadow, shadow))
        self.shadow_map.compare_func = "<="
        self.shadow_map.filter = (moderngl.LINEAR, moderngl.LINEAR)
        self.shadow_frame = self.context.framebuffer(depth_attachment=self.shadow_map)
        self.blank = self.context.texture((1, 1), 4, b"\xff" * 4)
        self.targets, self.sent, self.textures = {}, {}, {}

    def close(self):
        """Gives the context back."""
        self.context.release()

    def forget(self):
        """Gives back what models and textures hold; the next draw sends them again."""
        for model, _ in list(self.sent.values()):
            self.drop(model)
        for _, texture in self.textures.values():
            texture.release()
        self.textures = {}

    def drop(self, model):
        """Gives back what one model's triangles hold."""
        for _, main, flat, buffer in self.sent.pop(id(model), (model, ()))[1]:
            for thing in (main, flat, buffer):
                thing.release()

    def _send(self, model):
        if id(model) in self.sent:
            return self.sent[id(model)][1]
        layout = ("3f 3f 2f", "place", "normal", "uv")
        parts = []
        for part in model.parts:
            buffer = self.context.buffer(np.ascontiguousarray(part.vertices, np.float32).tobytes())
            arrays = [self.context.vertex_array(program, [(buffer, *self._used(program, layout))]) for program in (self.main, self.flat)]
            parts.append((part, *arrays, buffer))
        self.sent[id(model)] = (model, parts)  # the model is kept, so that its id stays its own
        return parts

    @staticmethod
    def _used(program, layout):
        """The vertex layout with what the program does not read marked as padding."""
        formats, names = layout[0].split(), layout[1:]
        kept = [name for name in names if name in program]
        shown = [f if name in program else f"{int(f[0]) * 4}x" for f, name in zip(formats, names, strict=True)]
        return " ".join(shown), *kept

    def _texture(self, pixels):
        if pixels is None:
            return self.blank
        if id(pixels) not in self.textures:
            flipped = np.ascontiguousarray(pixels[::-1])
            texture = self.context.texture((pixels.shape[1], pixels.shape[0]), 4, flipped.tobytes())
            texture.build_mipmaps()
            texture.filter = (self.gl.LINEAR_MIPMAP_LINEAR, self.gl.LINEAR)
            texture.anisotropy = 4.0
            self.textures[id(pixels)] = (pixels, texture)
        return self.textures[id(pixels)][1]

    def _target(self, size, samples):
        if (size, samples) not in self.targets:
            limit = self.context.info["GL_MAX_TEXTURE_SIZE"]
            if max(size) > limit:
                raise RenderError(f"A picture of {size} px is larger than OpenGL here can draw ({limit} px a side); ask for a smaller one.")
            colour = self.context.renderbuffer(size, 4, samples=samples)
            depth = self.context.depth_renderbuffer(size, samples=samples)
            self.targets[size, samples] = self.context.framebuffer([colour], depth)
        return self.targets[size, samples]

    @staticmethod
    def _set(program, **values):
        for name, value in values.items():
            if name in program:
                if isinstance(value, np.ndarray):
                    program[name].write(np.ascontiguousarray(value, np.float32).tobytes())
                else:
                    program[name].value = value

    def _sun_clip(self, light):
        """World to the shadow map's clip space: an orthographic box around light.bounds."""
        low, high = np.asarray(light.bounds, float)
        corners = np.array([[(low, high)[i >> k & 1][k] for k in range(3)] for i in range(8)])
        back = np.asarray(light.direction, float) / np.linalg.norm(light.direction)
        side = np.cross([0, 1, 0] if abs(back[1]) < 0.99 else [1, 0, 0], back)
        side /= np.linalg.norm(side)
        axes = np.stack([side, np.cross(back, side), back])
        seen = corners @ axes.T
        middle, half = (seen.min(0) + seen.max(0)) / 2, (seen.max(0) - seen.min(0)) / 2 + 1e-3
        matrix = np.eye(4)
        matrix[:3, :3] = axes / half[:, None]
        matrix[:3, 3] = -middle / half
        matrix[2] *= -1
        return matrix

    def draw(self, things, camera, light, size, samples=4, background=CLEAR, view=None, clip=None, ids=True, least_opacity=0.0):
        """Draws a world.

        things: Placed, in any order. size: (width, height) px. background: sRGB and alpha where nothing is, or uint8 [H, W, 3] RGB.
        view, clip: float [4, 4] in place of the camera's. least_opacity: what is clearer than this is drawn at it.
        Returns (uint8 [H, W, 4] RED FIRST, alpha premultiplied, uint16 [H, W] numbers, or None without ids).
        Raises RenderError for a size that cannot be drawn.
        """
        size = tuple(int(v) for v in size)
        context, gl = self.context, self.gl
        view = camera.view() if view is None else view
        clip = camera.projection(size) if clip is None else clip
        matrices = {"view": view.T, "clip": clip.T}
        drawn = []
        for thing in things:
            middle = thing.matrix @ np.append(thing.model.bounds.mean(0), 1)
            drawn.append((-float((view @ middle)[2]), thing, self._send(thing.model)))
        drawn.sort(key=lambda item: item[0])  # near ones first: what they hide costs nothing
        context.enable_only(gl.DEPTH_TEST)

        shadowed = light.bounds is not None
        sun_clip = self._sun_clip(light) if shadowed else np.eye(4)
        if shadowed:
            self.shadow_frame.use()
            self.shadow_frame.clear(depth=1.0)
            self._set(self.flat, view=np.eye(4), clip=sun_clip.T, number=0, image=0)
            context.polygon_offset = 1.5, 2.0
            for _, thing, parts in drawn:
                if thing.shadow:
                    self._set(self.flat, model=thing.matrix.T)
                    for part, _, flat, _ in parts:
                        if part.opacity > 0.5:
                            self._draw_flat(part, flat)
            context.polygon_offset = 0.0, 0.0

        target = self._target(size, samples)
        target.use()
        plain = isinstance(background, tuple)
        target.clear(*(background if plain else (0.0, 0.0, 0.0, 0.0)), depth=1.0)
        eye = np.linalg.inv(view)[:3, 3]
        back = np.asarray(light.direction, float) / np.linalg.norm(light.direction)
        lamps = list(light.lamps[:LAMPS])
        empty = [((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), 1.0)] * (LAMPS - len(lamps))
        at, colours, reach = zip(*(lamps + empty), strict=True)
        self._set(
            self.main,
            **matrices,
            sun_clip=sun_clip.T,
            shadowed=shadowed,
            image=0,
            shadow=1,
            eye=tuple(eye.tolist()),
            sun_from=tuple(back.tolist()),
            sun=tuple(light.sun),
            sky=tuple(light.sky),
            ground=tuple(light.ground),
            fog=tuple(light.fog),
            exposure=float(light.exposure),
            lamps=len(lamps),
            lamp_at=np.array(at),
            lamp_light=np.array(colours),
            lamp_reach=np.array(reach),
        )
        self.shadow_map.use(1)
        for clear in (False, True):
            if clear:
                context.enable(gl.BLEND)
                context.blend_func = gl.ONE, gl.ONE_MINUS_SRC_ALPHA
                target.depth_mask = False
            for _, thing, parts in reversed(drawn) if clear else drawn:
                for part, main, _, _ in parts:
                    if (part.opacity < 0.99) != clear:
                        continue
                    tinted = tuple(np.clip(np.array(part.colour) * thing.tint, 0, 1).tolist())
                    self._set(self.main, model=thing.matrix.T, colour=(*tinted, max(part.opacity, least_opacity)), shine=part.shine)
                    self._set(self.main, textured=part.texture is not None, glow=part.glow, cut=0.5)
                    self._texture(part.texture).use(0)
                    main.render()
        context.disable(gl.BLEND)
        target.depth_mask = True
        pixels = self._read(target, size, samples)
        if not plain:
            alpha = pixels[..., 3:].astype(np.uint16)
            if int(alpha.min()) < 255:
                rest = (np.asarray(background, np.uint16) * (255 - alpha) + 127) // 255
                pixels[..., :3] = np.minimum(pixels[..., :3] + rest, 255).astype(np.uint8)
        return pixels, self._numbers(drawn, matrices, size) if ids else None

    def numbers(self, things, view, clip, size):
        """uint16 [H, W]: whose pixel it is, as draw has it, without the picture. view, clip: float [4, 4]."""
        drawn = [(0.0, thing, self._send(thing.model)) for thing in things]
        self.context.enable_only(self.gl.DEPTH_TEST)
        return self._numbers(drawn, {"view": view.T, "clip": clip.T}, tuple(size))

    def _draw_flat(self, part, array):
        self._set(self.flat, textured=part.texture is not None, cut=0.5)
        self._texture(part.texture).use(0)
        array.render()

    def _numbers(self, drawn, matrices, size):
        """uint16 [H, W]: whose pixel it is. Glass shows what is behind it, unless the thing is mostly glass."""
        target = self._target(size, 0)
        target.use()
        target.clear(0.0, 0.0, 0.0, 1.0, depth=1.0)
        self._set(self.flat, **matrices, image=0)
        for _, thing, parts in drawn:
            solid = sum(len(part.vertices) for part, *_ in parts if part.opacity >= 0.6)
            mostly_glass = solid < 0.5 * sum(len(part.vertices) for part, *_ in parts)
            self._set(self.flat, model=thing.matrix.T, number=thing.number)
            for part, _, flat, _ in parts:
                if part.opacity >= 0.6 or mostly_glass:
                    self._draw_flat(part, flat)
        seen = self._read(target, size, 0)
        return seen[..., 0].astype(np.uint16) + (seen[..., 1].astype(np.uint16) << 8)

    def _read(self, target, size, samples):
        """uint8 [H, W, 4], top row first."""
        source = target
        if samples:
            source = self._target(size, 0)
            self.context.copy_framebuffer(source, target)
        data = np.frombuffer(source.read(components=4, alignment=1), np.uint8)
        return data.reshape(size[1], size[0], 4)[::-1].copy()


@lru_cache(maxsize=1)
def shared():
    """The process's one Renderer, opened at its first use. Raises RenderError."""
    return Renderer()
