"""MediaPipe's networks without mediapipe (decision 0053): two face detectors, the face mesh with attention, and the
segmentation of persons, on LiteRT. What stands before and after them follows MediaPipe's own graphs.
"""
