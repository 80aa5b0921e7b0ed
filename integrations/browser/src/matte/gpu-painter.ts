// Applies the matte by WebGL.

import { MATTE_ALL, MATTE_NONE, type Painter } from "./painter.js";

const VERTEX = `
attribute vec2 corner;
varying vec2 place;
void main() {
  place = vec2(0.5 + 0.5 * corner.x, 0.5 - 0.5 * corner.y);
  gl_Position = vec4(corner, 0.0, 1.0);
}`;

// The colours extend beyond the person, so a soft edge has the person's colours and none of the background's. WebGL
// takes colours that are multiplied by their opacity.
const FRAGMENT = `
#ifdef GL_FRAGMENT_PRECISION_HIGH
precision highp float;
#else
precision mediump float;
#endif
varying vec2 place;
uniform sampler2D picture;
uniform float margin;
void main() {
  float y = clamp(0.5 * place.y, margin, 0.5 - margin);
  vec3 colour = texture2D(picture, vec2(place.x, y)).rgb;
  float matte = texture2D(picture, vec2(place.x, y + 0.5)).g;
  float opacity = clamp((matte - ${MATTE_NONE.toFixed(3)}) / ${(MATTE_ALL - MATTE_NONE).toFixed(3)}, 0.0, 1.0);
  gl_FragColor = vec4(colour * opacity, opacity);
}`;

/** Return null if the browser has no WebGL. */
export function gpuPainter(canvas: HTMLCanvasElement): Painter | null {
  const gl = canvas.getContext("webgl", {
    alpha: true,
    premultipliedAlpha: true,
    antialias: false,
    depth: false,
    preserveDrawingBuffer: true, // a page can read the picture back
  });
  if (gl === null || gl.isContextLost()) return null;
  const program = gl.createProgram();
  for (const [kind, source] of [
    [gl.VERTEX_SHADER, VERTEX],
    [gl.FRAGMENT_SHADER, FRAGMENT],
  ] as const) {
    const shader = gl.createShader(kind);
    if (shader === null) return null;
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (gl.getProgramParameter(program, gl.LINK_STATUS) !== true) return null;
  gl.useProgram(program);
  gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
  gl.bufferData(gl.ARRAY_BUFFER, new Float32Array([-1, -1, 1, -1, -1, 1, 1, 1]), gl.STATIC_DRAW);
  const corner = gl.getAttribLocation(program, "corner");
  gl.enableVertexAttribArray(corner);
  gl.vertexAttribPointer(corner, 2, gl.FLOAT, false, 0, 0);
  const texture = gl.createTexture();
  gl.bindTexture(gl.TEXTURE_2D, texture);
  for (const [name, value] of [
    [gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE],
    [gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE],
    [gl.TEXTURE_MIN_FILTER, gl.LINEAR],
    [gl.TEXTURE_MAG_FILTER, gl.LINEAR],
  ] as const) {
    gl.texParameteri(gl.TEXTURE_2D, name, value);
  }
  const margin = gl.getUniformLocation(program, "margin");
  return {
    paint(video) {
      gl.viewport(0, 0, canvas.width, canvas.height);
      gl.uniform1f(margin, 0.5 / video.videoHeight);
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGB, gl.RGB, gl.UNSIGNED_BYTE, video);
      gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
    },
    release() {
      gl.deleteTexture(texture);
      gl.deleteProgram(program);
    },
  };
}
