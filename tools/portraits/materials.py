"""What everything is made of: skin, hair, eyes, cloth."""

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


def skin_material() -> bpy.types.Material:
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
    bump = n.node("Bump", Strength=split.outputs[1], Distance=0.00022, Height=height.outputs[0])
    body = n.node("BsdfPrincipled", Base_Color=colour.outputs["Color"], Roughness=split.outputs[0], Normal=bump.outputs[0])
    body.inputs["Subsurface Weight"].default_value = 1.0
    body.inputs["Subsurface Radius"].default_value = (1.0, 0.32, 0.16)
    body.inputs["Subsurface Scale"].default_value = 0.0045
    body.inputs["Specular IOR Level"].default_value = 0.42
    body.inputs["Sheen Weight"].default_value = 0.04
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


def cloth_material(colour: tuple[float, float, float]) -> bpy.types.Material:
    n = Nodes("cloth")
    place = n.node("TexCoord")
    weave = n.node("TexNoise", Vector=place.outputs["Object"], Scale=900.0, Detail=3.0)
    folds = n.node("TexNoise", Vector=place.outputs["Object"], Scale=14.0, Detail=2.0)
    ribs = n.node("TexWave", Vector=place.outputs["Object"], Scale=130.0, Distortion=0.5)
    ribs.bands_direction = "X"
    knit = n.node("Math")
    n.link(weave.outputs[0], knit.inputs[0])
    n.link(ribs.outputs["Fac"], knit.inputs[1])
    fine = n.node("Bump", Strength=0.5, Distance=0.0006, Height=knit.outputs[0])
    bump = n.node("Bump", Strength=0.35, Distance=0.012, Height=folds.outputs[0], Normal=fine.outputs[0])
    body = n.node("BsdfPrincipled", Base_Color=(*colour, 1), Roughness=0.85, Normal=bump.outputs[0])
    body.inputs["Sheen Weight"].default_value = 0.25
    body.inputs["Sheen Roughness"].default_value = 0.4
    n.link(body.outputs[0], n.output.inputs[0])
    return n.material
