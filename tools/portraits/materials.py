"""The materials: skin, hair, eyes, cloth."""

from __future__ import annotations

import bpy


class Nodes:
    """A material under construction."""

    def __init__(self, name: str) -> None:
        self.material = bpy.data.materials.new(name)
        self.material.use_nodes = True
        self._tree = self.material.node_tree
        self._tree.nodes.clear()
        self.output = self.node("OutputMaterial")

    def node(self, kind: str, **inputs: object) -> bpy.types.Node:
        node = self._tree.nodes.new("ShaderNode" + kind)
        for name, value in inputs.items():
            socket = node.inputs[name.replace("_", " ")]
            if isinstance(value, bpy.types.NodeSocket):
                self._tree.links.new(value, socket)
            else:
                socket.default_value = value
        return node

    def link(self, a: bpy.types.NodeSocket, b: bpy.types.NodeSocket) -> None:
        self._tree.links.new(a, b)


def skin_material(pores_strength: float = 1.0, coat: float = 0.0) -> bpy.types.Material:
    n = Nodes("skin")
    colour = n.node("Attribute")
    colour.attribute_name = "paint"
    gloss = n.node("Attribute")
    gloss.attribute_name = "gloss"  # r: roughness, g: bump strength
    split = n.node("SeparateColor", Color=gloss.outputs["Color"])
    place = n.node("TexCoord")
    pores = n.node("TexVoronoi", Vector=place.outputs["Object"], Scale=900.0)
    lumps = n.node("TexNoise", Vector=place.outputs["Object"], Scale=260.0, Detail=4.0)
    height = n.node("Math")
    n.link(pores.outputs["Distance"], height.inputs[0])
    n.link(lumps.outputs[0], height.inputs[1])
    uneven = n.node("TexNoise", Vector=place.outputs["Object"], Scale=55.0, Detail=3.0)
    broad = n.node("Bump", Strength=0.30 * pores_strength, Distance=0.0010, Height=uneven.outputs[0])
    bump = n.node(
        "Bump",
        Strength=split.outputs[1],
        Distance=0.00026 * pores_strength,
        Height=height.outputs[0],
        Normal=broad.outputs[0],
    )
    body = n.node(
        "BsdfPrincipled", Base_Color=colour.outputs["Color"], Roughness=split.outputs[0], Normal=bump.outputs[0]
    )
    body.inputs["Subsurface Weight"].default_value = 1.0
    body.inputs["Subsurface Radius"].default_value = (1.0, 0.32, 0.16)
    body.inputs["Subsurface Scale"].default_value = 0.0045
    body.inputs["Specular IOR Level"].default_value = 0.42
    body.inputs["Sheen Weight"].default_value = 0.04
    body.inputs["Coat Weight"].default_value = coat
    body.inputs["Coat Roughness"].default_value = 0.30
    n.link(body.outputs[0], n.output.inputs[0])
    return n.material


def hair_material(melanin: float, redness: float, roughness: float = 0.34) -> bpy.types.Material:
    n = Nodes("hair")
    body = n.node("BsdfHairPrincipled")
    body.parametrization = "MELANIN"
    body.inputs["Melanin"].default_value = melanin
    body.inputs["Melanin Redness"].default_value = redness
    body.inputs["Roughness"].default_value = roughness
    body.inputs["Radial Roughness"].default_value = 0.6
    body.inputs["Random Color"].default_value = 0.25
    body.inputs["Random Roughness"].default_value = 0.25
    n.link(body.outputs[0], n.output.inputs[0])
    return n.material


def lash_material() -> bpy.types.Material:
    n = Nodes("lash")
    body = n.node("BsdfPrincipled", Base_Color=(0.012, 0.009, 0.008, 1), Roughness=0.5)
    n.link(body.outputs[0], n.output.inputs[0])
    return n.material


def eye_material() -> bpy.types.Material:
    n = Nodes("eye")
    colour = n.node("Attribute")
    colour.attribute_name = "paint"
    body = n.node("BsdfPrincipled", Base_Color=colour.outputs["Color"], Roughness=0.35)
    body.inputs["Specular IOR Level"].default_value = 0.2
    body.inputs["Subsurface Weight"].default_value = 0.15
    body.inputs["Subsurface Radius"].default_value = (1.0, 0.5, 0.4)
    body.inputs["Subsurface Scale"].default_value = 0.001
    n.link(body.outputs[0], n.output.inputs[0])
    return n.material


def cornea_material() -> bpy.types.Material:
    n = Nodes("cornea")
    clear, gloss = n.node("BsdfTransparent"), n.node("BsdfGlossy", Roughness=0.03)
    mix = n.node("MixShader", Fac=n.node("Fresnel", IOR=1.42).outputs[0])
    n.link(clear.outputs[0], mix.inputs[1])
    n.link(gloss.outputs[0], mix.inputs[2])
    n.link(mix.outputs[0], n.output.inputs[0])
    return n.material


def cloth_material(colour: tuple[float, float, float], knit: float = 1.0) -> bpy.types.Material:
    """`knit`: strength of the ribs; 0 for woven cloth."""
    n = Nodes("cloth")
    place = n.node("TexCoord")
    weave = n.node("TexNoise", Vector=place.outputs["Object"], Scale=900.0 if knit else 1500.0, Detail=3.0)
    folds = n.node("TexNoise", Vector=place.outputs["Object"], Scale=14.0, Detail=2.0)
    ribs = n.node("TexWave", Vector=place.outputs["Object"], Scale=130.0, Distortion=0.5)
    ribs.bands_direction = "X"
    height = n.node("Math")
    height.operation = "MULTIPLY_ADD"
    n.link(ribs.outputs["Fac"], height.inputs[0])
    height.inputs[1].default_value = knit
    n.link(weave.outputs[0], height.inputs[2])
    fine = n.node("Bump", Strength=0.5, Distance=0.0006, Height=height.outputs[0])
    bump = n.node("Bump", Strength=0.35, Distance=0.012, Height=folds.outputs[0], Normal=fine.outputs[0])
    dark, light = (tuple(min(c * f, 1) for c in colour) for f in (0.84, 1.13))
    speckle = n.node("TexNoise", Vector=place.outputs["Object"], Scale=420.0, Detail=4.0)
    mixed = n.node("ValToRGB", Fac=speckle.outputs[0])
    mixed.color_ramp.elements[0].position, mixed.color_ramp.elements[0].color = 0.32, (*dark, 1)
    mixed.color_ramp.elements[1].position, mixed.color_ramp.elements[1].color = 0.68, (*light, 1)
    body = n.node("BsdfPrincipled", Base_Color=mixed.outputs["Color"], Roughness=0.85, Normal=bump.outputs[0])
    body.inputs["Sheen Weight"].default_value = 0.22
    body.inputs["Sheen Roughness"].default_value = 0.4
    n.link(body.outputs[0], n.output.inputs[0])
    return n.material


def shirt_material(colour: tuple[float, float, float]) -> bpy.types.Material:
    n = Nodes("shirt")
    place = n.node("TexCoord")
    folds = n.node("TexNoise", Vector=place.outputs["Object"], Scale=18.0, Detail=2.5)
    weave = n.node("TexNoise", Vector=place.outputs["Object"], Scale=1800.0, Detail=2.0)
    fine = n.node("Bump", Strength=0.3, Distance=0.0003, Height=weave.outputs[0])
    bump = n.node("Bump", Strength=0.5, Distance=0.010, Height=folds.outputs[0], Normal=fine.outputs[0])
    body = n.node("BsdfPrincipled", Base_Color=(*colour, 1), Roughness=0.7, Normal=bump.outputs[0])
    body.inputs["Sheen Weight"].default_value = 0.12
    n.link(body.outputs[0], n.output.inputs[0])
    return n.material
