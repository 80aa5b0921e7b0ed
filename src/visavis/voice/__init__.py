"""Speech from text: what a client says in words becomes pieces of speech, in one line with the speech that it sends.

    text ──sentences.py──► sentences ──spoken_text.py──► words ──endpoint.py──► sound (sound.py) ──line.py──► performer

`line.py` is the line of one session, `voices.py` what all sessions share: the synthesiser and how many syntheses run at
once. Sentences, words and sound are pure. Nothing here knows the channel, the sessions or the stage's process.
"""
