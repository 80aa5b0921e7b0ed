"""What MediaPipe itself answers for some pictures: run by scripts/compare-networks, in the environment of mediapipe.

    python answers.py PICTURES.npz ANSWERS.npz

PICTURES has uint8 arrays (H, W, 3). ANSWERS has, for each picture NAME: `NAME.mesh`, float32 (478, 3) in px of the
picture's middle square, or empty; `NAME.near` and `NAME.far`, float32 (N, 9), the faces that the detectors found: box
in px, eyes in px, score; `NAME.person`, float32 (H, W).
"""

from __future__ import annotations

import sys

import numpy as np

from mediapipe.python.solutions import face_detection, face_mesh, selfie_segmentation

LEAST = 0.4


def main(pictures_path: str, answers_path: str) -> None:
    """Answer for all pictures."""
    mesh = face_mesh.FaceMesh(
        static_image_mode=True,
        max_num_faces=1,
        refine_landmarks=True,
        min_detection_confidence=LEAST,
        min_tracking_confidence=LEAST,
    )
    detectors = {name: face_detection.FaceDetection(model_selection=i) for i, name in enumerate(("near", "far"))}
    person = selfie_segmentation.SelfieSegmentation(model_selection=0)
    answers = {}
    for name, picture in np.load(pictures_path).items():
        height, width = picture.shape[:2]
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        found = mesh.process(np.ascontiguousarray(picture[top : top + side, left : left + side])).multi_face_landmarks
        points = [(p.x * side, p.y * side, p.z * side) for p in found[0].landmark] if found else []
        answers[f"{name}.mesh"] = np.array(points, np.float32)
        for kind, detector in detectors.items():
            faces = []
            for face in detector.process(picture).detections or []:
                box, eyes = face.location_data.relative_bounding_box, face.location_data.relative_keypoints[:2]
                place = (box.xmin * width, box.ymin * height, box.width * width, box.height * height)
                faces.append((*place, *(value for p in eyes for value in (p.x * width, p.y * height)), face.score[0]))
            answers[f"{name}.{kind}"] = np.array(faces, np.float32).reshape(-1, 9)
        answers[f"{name}.person"] = person.process(picture).segmentation_mask
    np.savez_compressed(answers_path, **answers)


if __name__ == "__main__":
    main(*sys.argv[1:])
