"""A local neural voice for Visavis: Kokoro-82M behind the speech endpoint that OpenAI's clients know.

    python -m visavis_voice --port 8880
    VISAVIS_VOICE_URL=http://127.0.0.1:8880/v1 visavis serve

Text becomes phones in `phonemes.py`, and sound in `model.py`; `server.py` answers requests. Nothing is fetched.
"""
