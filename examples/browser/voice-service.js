// A stand-in for a voice service such as OpenAI Realtime, ElevenLabs or Vapi: a WebRTC call within this page, whose other
// end says a recording when it is asked to. All that a page gets of such a service is the same: an audio track.

export class VoiceService {
  /** Begin the call. Return it with its `track`. */
  static async call() {
    const context = new AudioContext();
    const recording = await context.decodeAudioData(await (await fetch("voice.wav")).arrayBuffer());
    const voice = context.createMediaStreamDestination();
    const [there, here] = [new RTCPeerConnection(), new RTCPeerConnection()];
    const received = new Promise((resolve) => (here.ontrack = ({ track }) => resolve(track)));
    there.addTrack(voice.stream.getAudioTracks()[0], voice.stream);
    await here.setRemoteDescription(await describe(there));
    await there.setRemoteDescription(await describe(here));
    return new VoiceService(context, recording, voice, await received);
  }

  constructor(context, recording, voice, track) {
    this.context = context;
    this.recording = recording;
    this.voice = voice;
    this.track = track;
    this.source = null;
  }

  /** Say the recording from its beginning. Resolves when it was said. */
  async talk() {
    this.stop();
    await this.context.resume();
    const source = new AudioBufferSourceNode(this.context, { buffer: this.recording });
    this.source = source;
    source.connect(this.voice);
    source.start();
    await new Promise((resolve) => (source.onended = resolve));
  }

  stop() {
    this.source?.stop();
    this.source?.disconnect();
    this.source = null;
  }
}

/** Return the peer's description with all its candidates. */
async function describe(peer) {
  const gathered = new Promise((resolve) => {
    peer.onicegatheringstatechange = () => peer.iceGatheringState === "complete" && resolve();
  });
  await peer.setLocalDescription();
  if (peer.iceGatheringState !== "complete") await gathered;
  return peer.localDescription;
}
