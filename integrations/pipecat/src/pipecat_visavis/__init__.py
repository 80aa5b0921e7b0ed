"""A live avatar for Pipecat bots: put `VisavisVideoService` between the voice and the transport's output.

Pipeline([transport.input(), stt, user, llm, tts, VisavisVideoService(avatar="avat_…"), transport.output(), assistant])
"""

from pipecat_visavis.service import VisavisVideoService
from pipecat_visavis.settings import VisavisVideoSettings

__all__ = ["VisavisVideoService", "VisavisVideoSettings"]
