"""The programs that run on OpenGL: for a picture (VERTEX, FRAGMENT) and for numbers and shadows (VERTEX, FLAT)."""

VERTEX = """
#version 330
uniform mat4 model, view, clip, sun_clip;
in vec3 place; in vec3 normal; in vec2 uv;
out vec3 world, facing; out vec2 at; out vec4 in_sun; out float depth;
void main() {
    vec4 p = model * vec4(place, 1.0);
    world = p.xyz; at = uv; in_sun = sun_clip * p;
    facing = transpose(inverse(mat3(model))) * normal;
    vec4 seen = view * p;
    depth = -seen.z;
    gl_Position = clip * seen;
}
"""

# Lambert and Blinn-Phong under a sun with a soft shadow, a sky and up to four lamps, in linear light; written as sRGB, alpha premultiplied.
FRAGMENT = """
#version 330
uniform sampler2D image; uniform sampler2DShadow shadow;
uniform bool textured; uniform bool shadowed; uniform float cut;
uniform vec4 colour; uniform float shine, glow, exposure;
uniform vec3 eye, sun_from, sun, sky, ground; uniform vec4 fog;
uniform int lamps; uniform vec3 lamp_at[4], lamp_light[4]; uniform float lamp_reach[4];
in vec3 world, facing; in vec2 at; in vec4 in_sun; in float depth;
out vec4 result;
float lit_by_sun(float slope) {
    if (!shadowed) return 1.0;
    vec3 p = in_sun.xyz / in_sun.w * 0.5 + 0.5;
    if (any(lessThan(p, vec3(0.001))) || any(greaterThan(p, vec3(0.999)))) return 1.0;
    float bias = 0.0008 + 0.0015 * (1.0 - slope), total = 0.0, step = 0.9 / float(textureSize(shadow, 0).x);
    for (int i = 0; i < 4; i++)
        total += texture(shadow, vec3(p.xy + vec2(float(i & 1) * 2.0 - 1.0, float(i >> 1) * 2.0 - 1.0) * step, p.z - bias));
    return total / 4.0;
}
void main() {
    vec4 base = colour;
    base.rgb = pow(base.rgb, vec3(2.2));
    if (textured) {
        vec4 seen = texture(image, at);
        if (seen.a < cut) discard;
        base = vec4(base.rgb * pow(seen.rgb, vec3(2.2)), base.a * seen.a);
    }
    vec3 towards = normalize(eye - world), n = normalize(facing);
    if (dot(n, towards) < 0.0) n = -n;
    float slope = max(dot(n, sun_from), 0.0);
    float reached = slope > 0.0 ? lit_by_sun(slope) : 0.0;
    vec3 light = mix(ground, sky, n.y * 0.5 + 0.5) + sun * slope * reached;
    float power = mix(12.0, 120.0, shine);
    vec3 gloss = sun * reached * pow(max(dot(n, normalize(sun_from + towards)), 0.0), power) * shine * 1.2;
    for (int i = 0; i < lamps; i++) {
        vec3 d = lamp_at[i] - world; float r = length(d); d /= max(r, 1e-4);
        float fall = 1.0 / (1.0 + (r * r) / (lamp_reach[i] * lamp_reach[i]));
        light += lamp_light[i] * fall * max(dot(n, d), 0.0);
        gloss += lamp_light[i] * fall * pow(max(dot(n, normalize(d + towards)), 0.0), power) * shine * 0.5;
    }
    float rim = pow(1.0 - abs(dot(n, towards)), 4.0);
    gloss += sky * shine * (0.04 + 0.5 * rim);
    vec3 seen = base.rgb * light + gloss;
    seen = mix(fog.rgb, seen, exp(-fog.a * depth));
    seen = seen * exposure + base.rgb * glow * 2.5 * exp(-0.4 * fog.a * depth);  // what shines is seen in the dark
    seen = seen * (1.0 + seen * 0.09) / (0.75 + seen * 0.55);
    float alpha = clamp(base.a + (1.0 - base.a) * rim * 0.6, 0.0, 1.0);
    result = vec4(pow(clamp(seen, 0.0, 1.0), vec3(1.0 / 2.2)) * alpha, alpha);
}
"""

FLAT = """
#version 330
uniform sampler2D image; uniform bool textured; uniform float cut; uniform int number;
in vec2 at; out vec4 result;
void main() {
    if (textured && texture(image, at).a < cut) discard;
    result = vec4(float(number & 255), float(number >> 8), 0.0, 255.0) / 255.0;
}
"""
